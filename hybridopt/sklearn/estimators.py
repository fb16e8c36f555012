"""Classifier and regressor for scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, RegressorMixin
from torch import Tensor
from torch.nn import functional

from hybridopt.errors import ArgumentError, DataError
from hybridopt.sklearn.base import HybridEstimator, all_or_nothing
from hybridopt.sklearn.labels import checked_labels, classes_of, targets_of, with_class_weights
from hybridopt.sklearn.samples import checked_weights, without_zeros


@dataclass(eq=False, repr=False)
class HybridClassifier(ClassifierMixin, HybridEstimator):  # type: ignore[misc]
    """Classifier for scikit-learn: a torch network, trained classically or as a circuit.

    Standardize the features, for example with a ``StandardScaler`` in a pipeline.

    With shots, the weights of a bridge are read from its circuit once after `fit`, so `predict` and
    `predict_proba` agree. A `CircuitLayer` in your own network draws new shots in each call.
    Multilabel targets (indicator matrices) have one output per label, binary cross entropy as loss,
    and probabilities by the logistic function. Sparse features become dense in batches.

    A sample of weight 0 is left out. An integer weight acts as that number of equal samples if all
    samples are in one batch; otherwise, it does not change the order of the samples. Your own
    ``loss`` must return one value per sample to be used with weights.

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
        clip_grad_norm: Largest 2-norm of the gradient in a step; None for no limit.
        accumulate: Number of batches per step of the optimizer.
        warm_start: True lets `fit` continue with the network of the last call, which must have the
            same features and classes. The optimizer starts again.
        callbacks: Callbacks of `hybridopt.fit`.
        progress: True shows a progress bar, a text is its label, None is as in `hybridopt.fit`.
        random_state: Seed of weights, order of samples and shots; an int gives equal results.
        class_weight: Dict of labels and weights (others have weight 1), ``"balanced"`` for equal
            sums of weights, or None. It multiplies ``sample_weight``.

    Attributes:
        classes_: Sorted labels; column numbers for multilabel targets.
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

    class_weight: Mapping[Any, float] | str | None = field(default=None, kw_only=True)

    @all_or_nothing
    def fit(
        self, X: object, y: object, sample_weight: object = None  # noqa: N803
    ) -> HybridClassifier:  # fmt: skip
        """Train a new network on samples and their labels.

        Args:
            X: Features, shape ``(samples, features)``, dense or sparse.
            y: Labels of any type, shape ``(samples,)``, or an indicator matrix
                ``(samples, labels)``.
            sample_weight: Weights of at least 0, shape ``(samples,)``; None for equal weights.
        """
        continues = self._continues
        x, given = self._validated(X, y, reset=not continues)
        labels = checked_labels(given)
        found = classes_of(labels)
        if continues and not np.array_equal(found, self.classes_):
            raise DataError(
                f"`y` must have the classes of the first call with `warm_start` (got {found})."
            )
        self.classes_: np.ndarray = found
        self._is_multilabel = labels.ndim == 2
        weight = checked_weights(sample_weight, x)
        samples = self._weighted(x, targets_of(labels, found), weight)
        self._train(*samples, loss=self._loss(), continues=continues)
        return self

    @all_or_nothing
    def partial_fit(
        self, X: object, y: object, classes: object = None, sample_weight: object = None  # noqa: N803
    ) -> HybridClassifier:  # fmt: skip
        """Continue training with one pass through more samples.

        The optimizer keeps its state between calls. ``epochs``, ``tol`` and ``patience`` are not
        used; newton, lbfgs, ``lr="auto"``, schedulers and balanced classes are refused.

        Args:
            X: Features, shape ``(samples, features)``, dense or sparse.
            y: Labels, shape ``(samples,)``, or an indicator matrix ``(samples, labels)``.
            classes: All labels, in the first call; column numbers for an indicator matrix.
            sample_weight: Weights of at least 0, shape ``(samples,)``; None for equal weights.
        """
        first = not hasattr(self, "network_")
        if isinstance(self.class_weight, str):
            raise ArgumentError(
                "`class_weight` must be a dict or None for `partial_fit`, which does not know all "
                f"samples (got {self.class_weight!r})."
            )
        known = None if classes is None else np.unique(np.asarray(classes))
        if first and known is None:
            raise ArgumentError("`classes` must be given in the first call of `partial_fit`.")
        x, given = self._validated(X, y, reset=first)
        labels = checked_labels(given)
        if first:
            self.classes_, self._is_multilabel = np.asarray(known), labels.ndim == 2
        elif known is not None and not np.array_equal(known, self.classes_):
            raise ArgumentError(
                f"`classes` must be those of the first call, {self.classes_} (got {known})."
            )
        if (labels.ndim == 2) != self._is_multilabel:
            raise DataError("`y` must be of the kind in the first call (labels or a matrix).")
        weight = checked_weights(sample_weight, x)
        samples = self._weighted(x, targets_of(labels, self.classes_), weight)
        self._train_once(*samples, loss=self._loss())
        return self

    def _weighted(
        self, x: Any, targets: Tensor, weight: np.ndarray | None
    ) -> tuple[Any, Tensor, int, np.ndarray | None]:
        weight = with_class_weights(self.class_weight, self.classes_, targets, weight)
        x, targets, weight = without_zeros(x, targets, weight)
        return x, targets, len(self.classes_), weight

    def _loss(self) -> object:
        default = functional.binary_cross_entropy_with_logits if self._is_multilabel else None
        return default if self.loss is None else self.loss

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the most probable label per sample, or the labels with probability above 0.5."""
        outputs = self._outputs(X)
        if self._is_multilabel:
            return np.asarray((outputs > 0).long().numpy())
        return np.asarray(self.classes_[outputs.argmax(1).numpy()])

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """Return probabilities, shape ``(samples, classes)``.

        They are the softmax of the network's scores, or their logistic function for multilabel
        targets.
        """
        outputs = self._outputs(X)
        chances = outputs.sigmoid() if self._is_multilabel else outputs.softmax(1)
        return np.asarray(chances.numpy())

    def predict_log_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the logarithm of `predict_proba`."""
        outputs = self._outputs(X)
        if self._is_multilabel:
            return np.asarray(functional.logsigmoid(outputs).numpy())
        return np.asarray(outputs.log_softmax(1).numpy())

    def decision_function(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the network's scores, shape ``(samples, classes)``.

        For two classes, return the log odds of the second class, shape ``(samples,)``.
        """
        scores = self._outputs(X).numpy()
        binary = scores.shape[1] == 2 and not self._is_multilabel
        return scores[:, 1] - scores[:, 0] if binary else np.asarray(scores)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class HybridRegressor(RegressorMixin, HybridEstimator):  # type: ignore[misc]
    """Regressor for scikit-learn: a torch network, trained classically or as a circuit.

    Standardize the features, and targets far from the range -1 to 1
    (``sklearn.compose.TransformedTargetRegressor``). Parameters and attributes are those of
    `HybridClassifier`, without ``class_weight`` and ``classes_``. ``loss=None`` is the mean squared
    error, and the network returns one value per target.

    Example:
        >>> from hybridopt.sklearn import HybridRegressor
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 60)[:, None]
        >>> model = HybridRegressor(optimizer="lbfgs", random_state=0).fit(x, np.sin(2 * x[:, 0]))
        >>> bool(model.score(x, np.sin(2 * x[:, 0])) > 0.99)
        True
    """

    @all_or_nothing
    def fit(
        self, X: object, y: object, sample_weight: object = None  # noqa: N803
    ) -> HybridRegressor:  # fmt: skip
        """Train a new network on samples and their targets.

        Args:
            X: Features, shape ``(samples, features)``, dense or sparse.
            y: Targets, shape ``(samples,)`` or ``(samples, targets)``.
            sample_weight: Weights of at least 0, shape ``(samples,)``; None for equal weights.
        """
        continues = self._continues
        samples = self._weighted(X, y, sample_weight, reset=not continues)
        if continues and samples[2] != self._num_targets:
            raise DataError(
                f"`y` must have {self._num_targets} targets as in the first call with `warm_start` "
                f"(got {samples[2]})."
            )
        self._num_targets: int = samples[2]
        self._train(*samples, loss=self.loss, continues=continues)
        return self

    @all_or_nothing
    def partial_fit(
        self, X: object, y: object, sample_weight: object = None  # noqa: N803
    ) -> HybridRegressor:  # fmt: skip
        """Continue training with one pass through more samples.

        See `HybridClassifier.partial_fit` for the parameters that are refused.

        Args:
            X: Features, shape ``(samples, features)``, dense or sparse.
            y: Targets, shape ``(samples,)`` or ``(samples, targets)``.
            sample_weight: Weights of at least 0, shape ``(samples,)``; None for equal weights.
        """
        first = not hasattr(self, "network_")
        samples = self._weighted(X, y, sample_weight, reset=first)
        if not first and samples[2] != self._num_targets:
            raise DataError(
                f"`y` must have {self._num_targets} targets as in the first call (got "
                f"{samples[2]})."
            )
        self._num_targets = samples[2]
        self._train_once(*samples, loss=self.loss)
        return self

    def _weighted(
        self, x: object, y: object, sample_weight: object, *, reset: bool
    ) -> tuple[Any, Tensor, int, np.ndarray | None]:
        samples, targets = self._validated(x, y, reset=reset, y_numeric=True)
        targets = targets.toarray() if issparse(targets) else targets
        if targets.dtype.kind not in "buif":
            raise DataError(
                f"Targets must be real numbers (got dtype {targets.dtype}). Convert them with "
                "`y.astype(float)`, or use `HybridClassifier` for labels."
            )
        self._is_flat = targets.ndim == 1
        table = torch.tensor(targets, dtype=torch.float64).reshape(len(targets), -1)
        weight = checked_weights(sample_weight, samples)
        samples, table, weight = without_zeros(samples, table, weight)
        return samples, table, table.shape[1], weight

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """Return the predicted values, in the shape of the targets in `fit`."""
        values = self._outputs(X).numpy()
        return values[:, 0] if self._is_flat else np.asarray(values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
