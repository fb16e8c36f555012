"""`HybridClassifier`."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from hybridopt.errors import DataError
from hybridopt.sklearn.estimator import HybridEstimator


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
