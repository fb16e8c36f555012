"""Conversion of tensors, arrays and lists of the user to a Dataset, with all checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import TensorDataset

from hybridopt import _validation
from hybridopt.data.dataset import Dataset, Part, check_equal_length, check_rows
from hybridopt.errors import ArgumentError, DataError

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGER_DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
FINITE_HINT = "Drop these samples or fill in their values."
LABEL_HINT = "Encode labels as integers 0, 1, ...; pass regression targets as floats."


def as_dataset(data: object, *, dtype: torch.dtype | None = None) -> Dataset:
    """Check data and convert them to a Dataset.

    Integer or boolean ``y`` are class labels, real ``y`` are regression targets. Tensors and
    arrays are copied; a Dataset keeps its tensors.

    Args:
        data: Dataset, Part, ``TensorDataset`` of two tensors, or pair ``(x, y)`` of tensors,
            arrays or lists. All samples of a pair are training samples.
        dtype: Dtype of real ``x`` and ``y``; None keeps their precision.

    Returns:
        Dataset whose ``train.x`` is real, or int64 for integers (tokens of an Embedding);
        booleans become float32. ``train.y`` is int64 with shape ``(samples,)``, or real with
        shape ``(samples, targets)``; real ``(samples,)`` becomes ``(samples, 1)``.

    Raises:
        ArgumentTypeError: If ``data`` has another type.
        ArgumentError: If ``dtype`` is not a real torch dtype.
        DataError: If the samples are empty, of unequal length, NaN or infinite, complex or text,
            or if labels are negative or outside the classes.
    """
    if dtype is not None and dtype not in REAL_DTYPES:
        raise ArgumentError(f"`dtype` must be a real torch dtype (got {dtype}).")
    dataset = _checked(data) if isinstance(data, Dataset) else _from_pair(data)
    return dataset if dtype is None else _cast(dataset, dtype)


def check_batch(
    x: object, y: object, *, prefix: str = ""
) -> tuple[Shaped[Tensor, "samples ..."], Shaped[Tensor, "samples ..."]]:
    """Check one batch and convert it to the form of a `Part`, without copies if possible."""
    inputs = _inputs(f"{prefix}x", _tensor(f"{prefix}x", x))
    targets = _targets(f"{prefix}y", _tensor(f"{prefix}y", y))
    check_equal_length(len(inputs), len(targets), prefix=prefix)
    return inputs, targets


def _from_pair(data: object) -> Dataset:
    expected = "a Dataset, a pair (x, y) of tensors or arrays, or a TensorDataset"
    pair = _validation.instance("data", data, Part | TensorDataset | tuple | list, expected)
    if isinstance(pair, Part):
        pair = pair.x, pair.y
    pair = pair.tensors if isinstance(pair, TensorDataset) else pair
    if len(pair) != 2:
        raise DataError(
            f"`data` must be a pair (x, y) (got a {type(data).__name__} with {len(pair)} members)."
        )
    inputs, targets = check_batch(*pair)
    part = Part(inputs.clone(), targets.clone())
    if targets.dtype != torch.int64:
        return Dataset("data", "regression", part)
    num_classes = max(2, int(targets.max()) + 1)  # at least two classes if all labels are 0
    return Dataset("data", "classification", part, num_classes=num_classes)


def _checked(dataset: Dataset) -> Dataset:
    parts = {}
    for label, part in dataset.parts():
        x, y = check_batch(part.x, part.y, prefix=f"{label}.")
        parts[label] = Part(x, y)
        row = int(y.argmax())
        if dataset.num_classes is not None and y[row] >= dataset.num_classes:
            raise DataError(
                f"`{label}.y` must hold labels 0 to {dataset.num_classes - 1} "
                f"(row {row} holds {int(y[row])}). {LABEL_HINT}"
            )
    return replace(dataset, train=parts["train"], test=parts.get("test"))


def _cast(dataset: Dataset, dtype: torch.dtype) -> Dataset:
    parts = {}
    for label, part in dataset.parts():
        x, y = (t.to(dtype) if t.is_floating_point() else t for t in (part.x, part.y))
        for name, tensor in (("x", x), ("y", y)):
            way_out = f"The values overflow {dtype}. Pass a wider `dtype`."
            _check_finite(f"{label}.{name}", tensor, way_out)
        parts[label] = Part(x, y)
    return replace(dataset, train=parts["train"], test=parts.get("test"))


def _inputs(name: str, x: Tensor) -> Tensor:
    """Return integers as int64, and all other inputs real and finite."""
    if x.dtype == torch.bool:
        x = x.float()
    if not x.is_floating_point():
        return x.long()
    if x.ndim == 1:
        raise DataError(
            f"`{name}` must have shape (samples, features) (got shape ({len(x)},)). If each sample "
            f"is one number, pass `{name}.reshape(-1, 1)`."
        )
    _check_finite(name, x)
    return x


def _targets(name: str, y: Tensor) -> Tensor:
    """Return int64 labels ``(samples,)`` or real targets ``(samples, targets)``."""
    if y.numel() == 0:
        raise DataError(f"`{name}` must hold targets (got shape {tuple(y.shape)}).")
    if y.is_floating_point():
        _check_finite(name, y)
        return y[:, None] if y.ndim == 1 else y
    labels = y.long()
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"`{name}` must hold one class label per sample (got shape {tuple(y.shape)}). Pass "
            f"`{name}.argmax(1)` for one-hot labels, and floats for regression targets."
        )
    row = int(labels.argmin())
    if labels[row] < 0:
        raise DataError(
            f"`{name}` must hold labels of at least 0 (row {row} holds {int(labels[row])}). "
            f"{LABEL_HINT}"
        )
    return labels


def _check_finite(name: str, values: Tensor, way_out: str = FINITE_HINT) -> None:
    finite = torch.isfinite(values)
    if finite.all():
        return
    row = int(finite.reshape(len(values), -1).all(dim=1).logical_not().nonzero()[0])
    count = int(finite.logical_not().sum())
    raise DataError(
        f"`{name}` must be finite (got {count} NaN or infinite numbers, the first in row {row}). "
        f"{way_out}"
    )


def _tensor(name: str, values: object) -> Tensor:
    """Return a real, integer or boolean tensor with one row per sample; copy arrays."""
    given = values if isinstance(values, Tensor) else _from_array(name, _array(name, values))
    tensor = given.detach()
    if tensor.layout != torch.strided or tensor.is_meta:
        got = "the meta device" if tensor.is_meta else f"{tensor.layout}"
        raise DataError(f"`{name}` must be a dense tensor with values (got {got}): `.to_dense()`.")
    if tensor.dtype not in (*REAL_DTYPES, *INTEGER_DTYPES, torch.bool):
        raise DataError(_dtype_message(name, str(tensor.dtype), complex_=tensor.is_complex()))
    check_rows(name, tensor)
    if len(tensor) == 0:
        raise DataError(f"`{name}` must hold at least one sample (got an empty tensor).")
    return tensor


def _array(name: str, values: object) -> Shaped[np.ndarray, "*shape"]:
    """Return the values as a numpy array, without a copy if possible."""
    if not hasattr(values, "__array__"):
        _validation.instance(name, values, list | tuple, "a tensor, an array or a list of numbers")
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise DataError(
            f"`{name}` must not be masked (got {int(values.mask.sum())} masked values). Drop these "
            "samples or fill in their values with `.filled(...)`."
        )
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError(f"`{name}` must be an array of numbers (numpy: {error}).") from error


def _from_array(name: str, array: Shaped[np.ndarray, "*shape"]) -> Tensor:
    """Copy an array to a tensor: integers as int64, real numbers in their precision."""
    kind = array.dtype.kind
    if kind not in "biuf" or array.dtype.itemsize > 8:  # torch has no longdouble
        raise DataError(_dtype_message(name, str(array.dtype), complex_=kind == "c"))
    if kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"`{name}` must fit int64 (got {int(array.max())}).")
    target = np.dtype(np.int64) if kind in "iu" else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=target, order="C", copy=True))


def _dtype_message(name: str, dtype: str, *, complex_: bool) -> str:
    way_out = "Convert it to float32, float64 or int64; encode text and categories first."
    if complex_:
        way_out = f"Pass real and imaginary parts as features, or `abs({name})`."
    elif name.endswith("y"):
        way_out = LABEL_HINT
    return f"`{name}` must hold real numbers or integers (got dtype {dtype}). {way_out}"
