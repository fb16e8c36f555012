"""Classifier and regressor for scikit-learn with their base class."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._copies import copy_module
from hybridopt._random import isolated
from hybridopt.bridges import Bridge, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered, check_executor
from hybridopt.gradients import GradientRule
from hybridopt.training import fit
from hybridopt.training.batches import EVALUATION_BATCH, network_dtype
from hybridopt.training.loop import executors_of
from hybridopt.training.sanity_check import check_network, trial_outputs

OF_FIT = (
    "optimizer", "lr", "scheduler", "epochs", "batch_size", "loss", "tol", "patience", "callbacks",
    "progress",
)  # fmt: skip
NetworkSpec = Sequence[int] | np.ndarray | nn.Module | Callable[[int, int], nn.Module]


@dataclass(eq=False, repr=False)  # scikit-learn reads the parameters of the constructor
class HybridEstimator(BaseEstimator):  # type: ignore[misc]
    """Base class of classifier and regressor: network, bridge and training."""

    network: NetworkSpec = (16,)
    _: KW_ONLY
    bridge: str | Bridge | None = None
    bridge_options: Mapping[str, Any] | None = None
    gradient: str | GradientRule | None = None
    executor: Executor | None = None
    shots: int | None = None
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] | None = None
    lr: float | str | None = None
    scheduler: str | Callable[..., Any] | None = None
    epochs: int = 20
    batch_size: int | str | None = "auto"
    loss: object = None
    tol: float | None = None
    patience: int | None = None
    callbacks: Sequence[Any] = ()
    progress: bool | str = False
    random_state: int | np.random.RandomState | None = None

    def _train(self, x: np.ndarray, y: Tensor, num_outputs: int) -> None:
        self._check_options()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated(seed):
            network = self._built(x.shape[1], num_outputs, seed)
        check_network(network)
        if self.bridge is not None:
            gradient = "parameter-shift" if self.gradient is None else self.gradient
            if self.executor is None:
                executor = AerExecutor(shots=self.shots, seed=seed)
            else:
                executor = _restarted(check_executor(self.executor), seed)
            options = {"executor": executor, "gradient": gradient, **(self.bridge_options or {})}
            network = to_quantum(network, self.bridge, **options)
        samples = torch.tensor(x, dtype=network_dtype(network))
        with isolated(seed):
            outputs = trial_outputs(network, samples[:2])
        shape = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
        if shape != (num_outputs,):
            raise DataError(
                f"`network` must return {num_outputs} outputs per sample, one per class or target "
                f"(got {shape}). Pass a function of (features, outputs) as `network`."
            )
        handed_on = {name: getattr(self, name) for name in OF_FIT} | {"seed": seed}
        self.history_ = fit(network, (samples, y), **handed_on, **(self.optimizer_options or {}))
        self.network_ = network.eval()

    def _check_options(self) -> None:
        self._check_keywords("bridge_options", to_quantum)
        self._check_keywords("optimizer_options", fit)
        for name in ("bridge_options", "executor", "shots", "gradient"):
            if self.bridge is None and getattr(self, name) is not None:
                raise ArgumentError(
                    f"`{name}` must be None without a `bridge` (got {getattr(self, name)!r}). "
                    'Pass for example `bridge="memory"`.'
                )
        if self.executor is not None and self.shots is not None:
            raise ArgumentError(
                "`shots` must be None with an `executor`. Pass `executor=AerExecutor(shots=...)`."
            )

    def _check_keywords(self, name: str, taker: Callable[..., Any]) -> None:
        """Reject options that are parameters of the estimator or set by it."""
        options = getattr(self, name)
        if options is None:
            return
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            raise ArgumentTypeError(
                f"`{name}` must be a dict with texts as keys, or None (got {options!r})."
            )
        for key in options:
            parameter = "random_state" if (key, taker) == ("seed", fit) else key
            if parameter in self.get_params(deep=False):
                raise ArgumentError(
                    f"`{name}` must not have the key {key!r}, a parameter of the estimator. Pass "
                    f"`{parameter}=...` to the estimator."
                )
            if key in inspect.signature(taker).parameters:
                raise ArgumentError(f"`{name}` must not have the key {key!r}. Remove it.")

    def _built(self, num_features: int, num_outputs: int, seed: int) -> nn.Module:
        if isinstance(self.network, nn.Module):  # an estimator must not change its parameters
            own = {id(one): _restarted(one, seed) for one in executors_of(self.network)}
            return copy_module(self.network, own, user="An estimator")
        if callable(self.network):
            try:
                return self.network(num_features, num_outputs)
            except HybridOptError:
                raise
            except Exception as error:
                name = getattr(self.network, "__name__", repr(self.network))
                raise ArgumentError(
                    f"Function {name!r} must return a network with {num_features} features and "
                    f"{num_outputs} outputs (got {type(error).__name__}: {error})."
                ) from error
        widths: object = self.network
        if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
            raise ArgumentTypeError(
                "`network` must be the widths of the hidden layers, a torch.nn.Module, or a "
                f"function of (features, outputs) that returns one (got {self.network!r})."
            )
        hidden = [_validation.integer("network", width, minimum=1) for width in widths]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([num_features, *hidden, num_outputs]):
            layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    @torch.no_grad()
    def _outputs(self, x: object) -> np.ndarray:
        check_is_fitted(self)
        checked = validate_data(self, x, dtype=[np.float64, np.float32], reset=False)
        samples = torch.tensor(checked, dtype=network_dtype(self.network_))
        outputs = [self.network_(batch) for batch in torch.split(samples, EVALUATION_BATCH)]
        return np.asarray(torch.cat(outputs).double().cpu().numpy())


class HybridClassifier(ClassifierMixin, HybridEstimator):  # type: ignore[misc]
    """Classifier for scikit-learn: a torch network, trained classically or as a circuit.

    Standardize the features, for example with a ``StandardScaler`` in a pipeline.

    With shots, the weights of a bridge are read from its circuit once after `fit`, so `predict` and
    `predict_proba` agree. A `CircuitLayer` in your own network draws new shots in each call.
    ``sample_weight``, ``partial_fit`` and ``class_weight`` are not supported; for the last one, use
    ``loss=torch.nn.CrossEntropyLoss(weight=...)``.

    Args:
        network: Widths of the hidden layers of an MLP with tanh in float64, or a
            ``torch.nn.Module``, or a function of (number of features, number of classes) that
            returns a module. The network has one output per class. A module is copied with its
            executors.
        bridge: Bridge that encodes the network in a circuit, by name (``"memory"``) or instance
            (``ho.bridges.Memory(form="full")``); None trains the network in torch.
        bridge_options: Options of the bridge, if ``bridge`` is a name.
        gradient: Gradient rule of the circuit, a name or an instance; None is parameter shift.
        executor: Executor of the circuit. Each `fit` uses a copy at the start of its random stream,
            ``network_.executor``; an executor without a seed gets its seed from ``random_state``.
            None is an ``AerExecutor`` with ``shots`` and the seed of ``random_state``.
        shots: Number of shots per setting; None is exact.
        optimizer: Name of the optimizer.
        optimizer_options: Options of the optimizer.
        lr: Learning rate; None is the optimizer's default, ``"auto"`` searches for one.
        scheduler: Learning-rate schedule, a name or a function of the optimizer.
        epochs: Number of passes through the data.
        batch_size: Number of samples per step, ``"auto"``, or None for all samples.
        loss: Loss function; None is the cross entropy.
        tol: Change of the training loss per epoch; training stops at or below it. None disables
            this.
        patience: Number of epochs without improvement after which training stops. None disables
            this.
        callbacks: Callbacks of `hybridopt.fit`.
        progress: True shows a progress bar; a text is its label.
        random_state: Seed of weights, order of samples and shots; an int gives equal results.

    Attributes:
        classes_: Sorted labels.
        n_features_in_: Number of features in `fit`.
        network_: Trained network in evaluation mode; `hybridopt.to_classical` decodes it.
        history_: `hybridopt.History` of the training.

    Example:
        >>> from hybridopt.sklearn import HybridClassifier
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x, y = load_iris(return_X_y=True)
        >>> model = make_pipeline(StandardScaler(), HybridClassifier(lr=0.05, random_state=0))
        >>> bool(model.fit(x, y).score(x, y) > 0.9)
        True
    """

    def fit(self, X: object, y: object) -> HybridClassifier:  # noqa: N803
        """Train a new network on samples and their labels.

        Args:
            X: Features, shape ``(samples, features)``.
            y: Labels of any type, shape ``(samples,)``.
        """
        samples, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        try:
            check_classification_targets(labels)
            self.classes_, numbers = np.unique(labels, return_inverse=True)
        except TypeError as error:
            kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise DataError(
                f"Labels must have one type that can be sorted (got {kinds}). Remove samples "
                "without a label, and convert the labels to texts or to numbers."
            ) from error
        self._train(samples, torch.tensor(numbers, dtype=torch.int64), len(self.classes_))
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the most probable label of each sample, shape ``(samples,)``."""
        chosen = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the softmax of the network's scores, shape ``(samples, classes)``."""
        return np.asarray(torch.from_numpy(self._outputs(X)).softmax(1).numpy())

    def predict_log_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the logarithm of `predict_proba`."""
        return np.asarray(torch.from_numpy(self._outputs(X)).log_softmax(1).numpy())

    def decision_function(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the network's scores, shape ``(samples, classes)``.

        For two classes, return the log odds of the second class, shape ``(samples,)``.
        """
        scores = self._outputs(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


class HybridRegressor(RegressorMixin, HybridEstimator):  # type: ignore[misc]
    """Regressor for scikit-learn: a torch network, trained classically or as a circuit.

    Standardize the features, and targets far from the range -1 to 1
    (``sklearn.compose.TransformedTargetRegressor``). Parameters and attributes are those of
    `HybridClassifier`, without ``classes_``. ``loss=None`` is the mean squared error, and the
    network returns one value per target.

    Example:
        >>> from hybridopt.sklearn import HybridRegressor
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 60)[:, None]
        >>> model = HybridRegressor(optimizer="lbfgs", random_state=0).fit(x, np.sin(2 * x[:, 0]))
        >>> bool(model.score(x, np.sin(2 * x[:, 0])) > 0.99)
        True
    """

    def fit(self, X: object, y: object) -> HybridRegressor:  # noqa: N803
        """Train a new network on samples and their targets.

        Args:
            X: Features, shape ``(samples, features)``.
            y: Targets, shape ``(samples,)`` or ``(samples, targets)``.
        """
        samples, targets = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        if targets.dtype.kind not in "buif":
            raise DataError(
                f"Targets must be real numbers (got dtype {targets.dtype}). Convert them with "
                "`y.astype(float)`, or use `HybridClassifier` for labels."
            )
        self._is_flat = targets.ndim == 1
        table = torch.tensor(targets, dtype=torch.float64).reshape(len(targets), -1)
        self._train(samples, table, table.shape[1])
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the predicted values, in the shape of the targets in `fit`."""
        values = self._outputs(X)
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _restarted(executor: Metered, seed: int) -> Any:
    """Return a copy at the start of its random stream; ``seed`` replaces a missing seed."""
    # copy.deepcopy of an executor returns the executor itself, which networks share
    own = copy.copy(executor)
    try:
        state = copy.deepcopy(executor.__getstate__())
    except TypeError:  # the state has for example a connection, which both executors share
        state = None
    if isinstance(state, dict):
        vars(own).update(state)
    position = {**own.state_dict(), "calls": 0}
    if "entropy" in position and getattr(own, "seed", seed) is None:
        position["entropy"] = hex(seed)
    own.load_state_dict(position)
    return own
