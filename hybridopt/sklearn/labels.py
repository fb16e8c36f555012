"""Labels of a classifier as targets of a network, and weights of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError


def checked_labels(y: Any) -> np.ndarray:
    """Return labels of shape ``(samples,)``, or an indicator matrix ``(samples, labels)``.

    Raises:
        DataError: If labels of different types cannot be sorted, or if several columns are not
            an indicator matrix.
    """
    labels = y.toarray() if sparse.issparse(y) else np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = column_or_1d(labels, warn=True)
    try:
        check_classification_targets(labels)
        if labels.ndim == 1:
            np.unique(labels)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise DataError(
            f"Labels must have one type that can be sorted (got {kinds}). Remove samples "
            "without a label, and convert the labels to texts or to numbers."
        ) from error
    if labels.ndim == 2 and type_of_target(labels) != "multilabel-indicator":
        raise DataError(
            f"`y` with {labels.shape[1]} columns must be an indicator matrix of zeros and ones. "
            "Use sklearn.multioutput.MultiOutputClassifier for several targets with classes."
        )
    return labels


def classes_of(labels: np.ndarray) -> np.ndarray:
    """Return the sorted classes, or the column numbers of an indicator matrix."""
    return np.unique(labels) if labels.ndim == 1 else np.arange(labels.shape[1])


def targets_of(labels: np.ndarray, classes: np.ndarray) -> Tensor:
    """Return class numbers in int64, or an indicator matrix in float64.

    Raises:
        DataError: If a label is not one of the classes, or a matrix has other columns.
    """
    if labels.ndim == 2:
        if labels.shape[1] != len(classes):
            raise DataError(
                f"`y` must have {len(classes)} columns, one per label (got {labels.shape[1]})."
            )
        return torch.tensor(labels, dtype=torch.float64)
    unknown = sorted(set(labels.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise DataError(
            f"`y` must have labels of the classes in the first call (got {unknown[:5]}). Pass all "
            "of them as `classes`."
        )
    return torch.tensor(np.searchsorted(classes, labels), dtype=torch.int64)


def with_class_weights(
    class_weight: object, classes: np.ndarray, targets: Tensor, sample_weight: np.ndarray | None
) -> np.ndarray | None:
    r"""Return sample weights times the weights of their classes.

    ``"balanced"`` is :math:`\sum_i w_i / (k \sum_{i \in c} w_i)` for class c of the k classes
    in the samples.
    """
    if class_weight is None:
        return sample_weight
    if targets.ndim == 2:
        raise ArgumentError(
            "`class_weight` must be None for multilabel targets. Pass `sample_weight`, or "
            "`loss=torch.nn.BCEWithLogitsLoss(pos_weight=...)`."
        )
    numbers = targets.numpy()
    weight = np.ones(len(numbers)) if sample_weight is None else sample_weight
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(numbers, weights=weight, minlength=len(classes))
        factors = weight.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    elif isinstance(class_weight, Mapping):
        try:
            factors = compute_class_weight(dict(class_weight), classes=classes, y=classes)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"`class_weight` must have labels as keys ({error})") from error
        if not np.isfinite(factors).all() or (factors < 0).any():
            raise ArgumentError(
                f"`class_weight` must have finite weights of at least 0 (got {class_weight!r})."
            )
    else:
        raise ArgumentTypeError(
            f"`class_weight` must be a dict, 'balanced' or None (got {class_weight!r})."
        )
    product: np.ndarray = weight * factors[numbers]
    if not product.any():
        raise DataError("`class_weight` must leave a class with a weight above 0 (got zeros).")
    return product
