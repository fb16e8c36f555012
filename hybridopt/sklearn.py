"""Estimators for scikit-learn: networks, classical or in circuits, in pipelines and searches."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from hybridopt import checks
from hybridopt.bridges import Bridge, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered
from hybridopt.gradients import GradientRule
from hybridopt.seeding import isolated
from hybridopt.training import fit
from hybridopt.training.arguments import check_network
from hybridopt.training.batches import network_dtype
from hybridopt.training.loop import EVALUATION_BATCH, executors_of
from hybridopt.training.preflight import trial_outputs

__all__ = ["HybridClassifier", "HybridRegressor"]

NetworkSpec = Sequence[int] | nn.Module | Callable[[int, int], nn.Module]


class HybridEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: a network, the way into circuits, and `fit`."""

    def __init__(
        self,
        network: NetworkSpec = (16,),
        *,
        bridge: str | Bridge | None = None,
        bridge_options: Mapping[str, Any] | None = None,
        gradient: str | GradientRule | None = None,
        executor: Executor | None = None,
        shots: int | None = None,
        optimizer: str = "adam",
        optimizer_options: Mapping[str, Any] | None = None,
        lr: float | str | None = None,
        scheduler: str | Callable[..., Any] | None = None,
        epochs: int = 20,
        batch_size: int | str | None = "auto",
        loss: object = None,
        tol: float | None = None,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
        progress: bool | str = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.bridge = bridge
        self.bridge_options = bridge_options
        self.gradient = gradient
        self.executor = executor
        self.shots = shots
        self.optimizer = optimizer
        self.optimizer_options = optimizer_options
        self.lr = lr
        self.scheduler = scheduler
        self.epochs = epochs
        self.batch_size = batch_size
        self.loss = loss
        self.tol = tol
        self.patience = patience
        self.callbacks = callbacks
        self.progress = progress
        self.random_state = random_state

    def _train(self, x: np.ndarray, y: Tensor, num_outputs: int) -> None:
        self._check_options()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated(seed):
            network = self._built(x.shape[1], num_outputs, seed)
        check_network(network)
        if self.bridge is not None:
            network = to_quantum(
                network,
                self.bridge,
                executor=self._own_executor(seed),
                gradient="parameter-shift" if self.gradient is None else self.gradient,
                **(self.bridge_options or {}),
            )
        samples = torch.tensor(x, dtype=network_dtype(network))
        with isolated(seed):
            _check_outputs(network, samples[:2], num_outputs)
        self.history_ = fit(
            network,
            (samples, y),
            optimizer=self.optimizer,
            lr=self.lr,
            scheduler=self.scheduler,
            epochs=self.epochs,
            batch_size=self.batch_size,
            loss=self.loss,
            seed=seed,
            tol=self.tol,
            patience=self.patience,
            callbacks=self.callbacks,
            progress=self.progress,
            **(self.optimizer_options or {}),
        )
        self.network_ = network.eval()

    def _own_executor(self, seed: int) -> Any:
        """An executor that is nobody else's, at the beginning of its stream."""
        if self.executor is None:
            return AerExecutor(shots=self.shots, seed=seed)
        if not isinstance(self.executor, Executor) or isinstance(self.executor, type):
            raise ArgumentTypeError(
                "Argument `executor` must be an executor such as AerExecutor(), but is "
                f"{self.executor!r}."
            )
        return _restarted(self.executor, seed)

    def _check_options(self) -> None:
        _check_keywords("bridge_options", self.bridge_options, to_quantum, {})
        _check_keywords("optimizer_options", self.optimizer_options, fit, {"seed": "random_state"})
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

    def _built(self, num_features: int, num_outputs: int, seed: int) -> nn.Module:
        if isinstance(self.network, nn.Module):  # an estimator leaves what it was given
            return copy.deepcopy(
                self.network,
                {
                    id(executor): _restarted(executor, seed)
                    for executor in executors_of(self.network)
                },
            )
        if callable(self.network):
            return _made_by(self.network, num_features, num_outputs)
        widths: object = self.network
        if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
            raise ArgumentTypeError(
                "Argument `network` must be the widths of the hidden layers, a torch.nn.Module, or "
                "a function of (number of features, number of outputs) that returns one, but is "
                f"{self.network!r}."
            )
        hidden = [checks.integer("network", width, minimum=1) for width in widths]
        return _mlp([num_features, *hidden, num_outputs])

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

    def fit(self, X: object, y: object) -> Self:  # noqa: N803
        """Train a new network on samples and their labels.

        Args:
            X: Shape ``(samples, features)``.
            y: Labels of any type, shape ``(samples,)``.
        """
        samples, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        self.classes_, numbers = _numbered(labels)
        self._train(samples, torch.tensor(numbers, dtype=torch.int64), len(self.classes_))
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """The most probable label of each sample, shape ``(samples,)``."""
        chosen = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """The softmax of the network's scores, shape ``(samples, classes)``."""
        scores = torch.from_numpy(self._outputs(X))
        return np.asarray(torch.softmax(scores, dim=1).numpy())

    def predict_log_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """The logarithm of `predict_proba`."""
        scores = torch.from_numpy(self._outputs(X))
        return np.asarray(torch.log_softmax(scores, dim=1).numpy())

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

    def fit(self, X: object, y: object) -> Self:  # noqa: N803
        """Train a new network on samples and their targets.

        Args:
            X: Shape ``(samples, features)``.
            y: Shape ``(samples,)`` or ``(samples, targets)``.
        """
        samples, targets = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        _check_real(targets)
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
        tags.target_tags.single_output = True
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


def _check_keywords(
    name: str, options: object, taker: Callable[..., Any], renamed: Mapping[str, str]
) -> None:
    """Refuse options that the function they are handed on to is given by the estimator itself."""
    if options is None:
        return
    if not isinstance(options, Mapping):
        raise ArgumentTypeError(f"Argument `{name}` must be a dict or None, but is {options!r}.")
    own = inspect.signature(HybridEstimator).parameters
    for key in options:
        if not isinstance(key, str):
            raise ArgumentTypeError(
                f"Argument `{name}` must have names as keys, but has {key!r} of type "
                f"{type(key).__name__}."
            )
        parameter = renamed.get(key, key)
        if parameter in own:
            raise ArgumentError(
                f"Argument `{name}` holds {key!r}, which is a parameter of the estimator. Pass "
                f"`{parameter}=...` instead."
            )
        if key in inspect.signature(taker).parameters:
            raise ArgumentError(f"Argument `{name}` holds {key!r}, which is none of them.")


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        check_classification_targets(labels)
        classes, numbers = np.unique(labels, return_inverse=True)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise DataError(
            f"Labels must be of one type that can be sorted, but are of {kinds}. Drop samples "
            "without a label, and make the others all strings or all numbers."
        ) from error
    return classes, numbers


def _check_real(targets: np.ndarray) -> None:
    if targets.dtype.kind not in "buif":
        raise DataError(
            f"Targets must be real numbers, but are of dtype {targets.dtype}. Convert them, as by "
            "y.astype(float), or use HybridClassifier for labels."
        )


def _mlp(widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _made_by(factory: Callable[[int, int], nn.Module], features: int, outputs: int) -> nn.Module:
    name = getattr(factory, "__name__", repr(factory))
    try:
        network = factory(features, outputs)
    except HybridOptError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"The network function {name!r} gave no network of {features} features and {outputs} "
            f"outputs: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ArgumentTypeError(
            f"The network function {name!r} must return a torch.nn.Module, but returned "
            f"{type(network).__name__}."
        )
    return network


def _check_outputs(network: nn.Module, samples: Tensor, num_outputs: int) -> None:
    outputs = trial_outputs(network, samples)
    shape = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
    if shape != (num_outputs,):
        raise DataError(
            f"The network must return {num_outputs} numbers for each sample, one a class or "
            f"target, but returns {shape}. Pass a function of (features, outputs) as `network`."
        )
