"""Classifier and regressor for scikit-learn, and their common base."""

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
from hybridopt._random import isolated
from hybridopt.bridges import Bridge, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered, check_executor
from hybridopt.gradients import GradientRule
from hybridopt.training import fit
from hybridopt.training.arguments import check_network
from hybridopt.training.batches import network_dtype
from hybridopt.training.loop import EVALUATION_BATCH, executors_of
from hybridopt.training.sanity_check import trial_outputs

OF_FIT = (
    "optimizer", "lr", "scheduler", "epochs", "batch_size", "loss", "tol", "patience", "callbacks",
    "progress",
)  # fmt: skip
NetworkSpec = Sequence[int] | np.ndarray | nn.Module | Callable[[int, int], nn.Module]


@dataclass(eq=False, repr=False)  # scikit-learn reads the parameters of the constructor
class HybridEstimator(BaseEstimator):  # type: ignore[misc]
    """A network, the way into circuits, and `fit`, for classifier and regressor."""

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
                f"The network must return {num_outputs} numbers for each sample, one a class or "
                f"target, but returns {shape}. Pass a function of (features, outputs) as `network`."
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
                    f"Argument `{name}` is for a network in a circuit, but `bridge` is None. "
                    'Pass for instance bridge="memory".'
                )
        if self.executor is not None and self.shots is not None:
            raise ArgumentError(
                "Argument `shots` cannot be given beside `executor`, which has its own: "
                "AerExecutor(shots=...)."
            )

    def _check_keywords(self, name: str, taker: Callable[..., Any]) -> None:
        """Refuse options that the function they are handed on to is given by the estimator."""
        options = getattr(self, name)
        if options is None:
            return
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            raise ArgumentTypeError(
                f"Argument `{name}` must be a dict or None, with names as keys, but is {options!r}."
            )
        for key in options:
            parameter = "random_state" if (key, taker) == ("seed", fit) else key
            if parameter in self.get_params(deep=False):
                raise ArgumentError(
                    f"Argument `{name}` holds {key!r}, which is a parameter of the estimator. Pass "
                    f"`{parameter}=...` instead."
                )
            if key in inspect.signature(taker).parameters:
                raise ArgumentError(f"Argument `{name}` holds {key!r}, which is none of them.")

    def _built(self, num_features: int, num_outputs: int, seed: int) -> nn.Module:
        if isinstance(self.network, nn.Module):  # an estimator leaves what it was given
            own = {id(one): _restarted(one, seed) for one in executors_of(self.network)}
            return copy.deepcopy(self.network, own)
        if callable(self.network):
            try:
                return self.network(num_features, num_outputs)
            except HybridOptError:
                raise
            except Exception as error:
                name = getattr(self.network, "__name__", repr(self.network))
                raise ArgumentError(
                    f"The network function {name!r} gave no network of {num_features} features and "
                    f"{num_outputs} outputs: {type(error).__name__}: {error}"
                ) from error
        widths: object = self.network
        if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
            raise ArgumentTypeError(
                "Argument `network` must be the widths of the hidden layers, a torch.nn.Module, or "
                "a function of (number of features, number of outputs) that returns one, but is "
                f"{self.network!r}."
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
    """A classifier for scikit-learn: a torch network, trained as it is or in a circuit.

    Features should be standardised, with a ``StandardScaler`` in a pipeline for instance.

    With shots, a network in a bridge is read once after `fit`: `predict` and `predict_proba` agree.
    A `CircuitLayer` in a network of your own draws fresh shots in every call of either. There is
    no ``sample_weight`` (where batches are drawn, a weight of two is not a sample given twice), no
    ``class_weight`` (pass ``loss=torch.nn.CrossEntropyLoss(weight=...)``), and no ``partial_fit``.

    Args:
        network: Widths of the hidden layers of an MLP with tanh in float64; or a
            ``torch.nn.Module``, which is copied with its executors; or a function of (number of
            features, number of classes) that returns one. It returns a score for each class.
        bridge: None trains the network in torch; ``"memory"`` and others, or an instance such as
            ``ho.bridges.Memory(form="full")``, carry it into a circuit (`hybridopt.to_quantum`).
        bridge_options: Of the bridge, if it is given by name.
        gradient: Of the circuit, a name or an instance; None is ``"parameter-shift"``.
        executor: What runs the circuit. Each `fit` runs a copy from the beginning of its stream, in
            ``network_.executor``; without a seed of its own it takes that of ``random_state``.
            None is an ``AerExecutor`` with ``shots``, seeded by ``random_state``.
        shots: Shots a setting; None is exact.
        optimizer: By name.
        optimizer_options: Of the optimizer.
        lr: Learning rate; None is the optimizer's default, ``"auto"`` finds one.
        scheduler: Of the learning rate, by name, or a function of the optimizer.
        epochs: Passes through the data.
        batch_size: ``"auto"``, None (all samples) or a number.
        loss: None is cross entropy.
        tol: Stop when the training loss changes by no more than this in an epoch.
        patience: Stop after so many epochs without an improvement of the training loss.
        callbacks: As of `hybridopt.fit`.
        progress: Show a bar; a string is its label.
        random_state: Seeds weights, order of samples and shots: an int gives the same result again.

    Attributes:
        classes_: The labels, sorted.
        n_features_in_: Features seen in `fit`.
        network_: The trained network, in eval mode; `hybridopt.to_classical` takes it out of its
            circuit.
        history_: The `hybridopt.History` of the training.

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
            X: Shape ``(samples, features)``.
            y: Labels of any type, shape ``(samples,)``.
        """
        samples, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        try:
            check_classification_targets(labels)
            self.classes_, numbers = np.unique(labels, return_inverse=True)
        except TypeError as error:
            kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise DataError(
                f"Labels must be of one type that can be sorted, but are of {kinds}. Drop samples "
                "without a label, and make the others all strings or all numbers."
            ) from error
        self._train(samples, torch.tensor(numbers, dtype=torch.int64), len(self.classes_))
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """The most probable label of each sample, shape ``(samples,)``."""
        chosen = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """The softmax of the network's scores, shape ``(samples, classes)``."""
        return np.asarray(torch.from_numpy(self._outputs(X)).softmax(1).numpy())

    def predict_log_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """The logarithm of `predict_proba`."""
        return np.asarray(torch.from_numpy(self._outputs(X)).log_softmax(1).numpy())

    def decision_function(self, X: object) -> np.ndarray:  # noqa: N803
        """The network's scores, shape ``(samples, classes)``.

        With two classes their difference, the log odds of the second class, shape ``(samples,)``.
        """
        scores = self._outputs(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


class HybridRegressor(RegressorMixin, HybridEstimator):  # type: ignore[misc]
    """A regressor for scikit-learn: a torch network, trained as it is or in a circuit.

    Features should be standardised, and so should targets far from the range of -1 to 1
    (``sklearn.compose.TransformedTargetRegressor``). The parameters and attributes are those of
    `HybridClassifier`, without ``classes_``; ``loss=None`` is the mean squared error, and the
    network returns a value for each target.

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
            X: Shape ``(samples, features)``.
            y: Shape ``(samples,)`` or ``(samples, targets)``.
        """
        samples, targets = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        if targets.dtype.kind not in "buif":
            raise DataError(
                f"Targets must be real numbers, but are of dtype {targets.dtype}. Convert them, as "
                "by y.astype(float), or use HybridClassifier for labels."
            )
        self._is_flat = targets.ndim == 1
        table = torch.tensor(targets, dtype=torch.float64).reshape(len(targets), -1)
        self._train(samples, table, table.shape[1])
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """The network's values, of the shape that targets had in `fit`."""
        values = self._outputs(X)
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _restarted(executor: Metered, seed: int) -> Any:
    """A copy at the beginning of its stream; ``seed`` serves where it has none of its own."""
    # copy.deepcopy of an executor gives the thing itself, as networks share theirs
    own = copy.copy(executor)
    try:
        state = copy.deepcopy(executor.__getstate__())
    except TypeError:  # it holds a connection, say, which both have to use
        state = None
    if isinstance(state, dict):
        vars(own).update(state)
    position = {**own.state_dict(), "calls": 0}
    if "entropy" in position and getattr(own, "seed", seed) is None:
        position["entropy"] = hex(seed)
    own.load_state_dict(position)
    return own
