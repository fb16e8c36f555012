"""Conversion of tensors, arrays, lists and datasets of the user to a Dataset, with all checks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from hybridopt import _validation
from hybridopt._inputs import Inputs, concatenate, map_inputs, named_tensors
from hybridopt.data.dataset import Batch, Dataset, Part, check_equal_length, check_rows
from hybridopt.data.torch_datasets import ADVICE, all_batches, is_torch_source, members
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGER_DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
FINITE_HINT = "Drop these samples or fill in their values."
LABEL_HINT = "Encode labels as integers 0, 1, ...; pass regression targets as floats."


def as_dataset(data: object, *, test: object = None, dtype: torch.dtype | None = None) -> Dataset:
    """Check data and convert them to a Dataset.

    Integer or boolean ``y`` are class labels, real ``y`` are regression targets. Tensors and
    arrays are copied; a Dataset keeps its tensors. Datasets and loaders of torch are read once;
    a loader gives its samples, not its batches.

    Args:
        data: Dataset, Part, or pair ``(x, y)`` or triple ``(x, y, sample_weight)`` of tensors,
            arrays or lists. All samples of them are training samples. Several inputs are a tuple
            of tensors or arrays, or a dict with the names of the network's arguments. A dict with
            inputs and the key ``"y"`` is one object for both. Alternatively, any torch dataset or
            ``DataLoader`` whose samples have one of these forms.
        test: Test samples, in a form of ``data``; None for no test part, or that of a Dataset.
        dtype: Dtype of real ``x`` and ``y``; None keeps their precision.

    Returns:
        Dataset whose ``train.x`` is real, or int64 for integers (tokens of an Embedding);
        booleans become float32, but stay boolean (masks) among several inputs. ``train.y`` is int64
        with shape ``(samples,)``, or real with shape ``(samples, targets)``; real ``(samples,)``
        becomes ``(samples, 1)``.

    Raises:
        ArgumentTypeError: If ``data`` has another type.
        ArgumentError: If ``dtype`` is not a real torch dtype, or there are two test parts.
        DataError: If the samples are empty, of unequal length, NaN or infinite, complex or text,
            or if labels are negative or outside the classes, or if weights are negative.

    Example:
        >>> import torch
        >>> from hybridopt.data import as_dataset
        >>> pairs = [(torch.rand(n, 4), torch.arange(n) % 3) for n in (60, 15)]
        >>> as_dataset(pairs[0], test=pairs[1])
        Dataset('data', classification, 4 features, 3 classes, 60 training and 15 test samples)
    """
    if dtype is not None and dtype not in REAL_DTYPES:
        raise ArgumentError(f"`dtype` must be a real torch dtype (got {dtype}).")
    dataset = _checked(data) if isinstance(data, Dataset) else _from_members(data)
    if test is not None:
        dataset = _with_test(dataset, as_dataset(test), declared=isinstance(data, Dataset))
    return dataset if dtype is None else _cast(dataset, dtype)


def _with_test(dataset: Dataset, test: Dataset, *, declared: bool) -> Dataset:
    """Return the dataset with the samples of ``test``, which must have its ``declared`` classes."""
    if dataset.test is not None or test.test is not None:
        raise ArgumentError("`test` must be None for a Dataset that has a test part.")
    if dataset.task != test.task:
        raise DataError(
            f"`test` must have targets of a {dataset.task}, as the training part has "
            f"(got a {test.task})."
        )
    if declared or dataset.num_classes is None or test.num_classes is None:
        return _checked(replace(dataset, test=test.train))
    return replace(dataset, test=test.train, num_classes=max(dataset.num_classes, test.num_classes))


def check_batch(
    x: object, y: object, sample_weight: object = None, *, prefix: str = "", collated: bool = False
) -> Batch:
    """Check one batch and convert it to the form of a `Part`, without copies if possible.

    ``collated`` is True for a batch of a loader, in which a list of tensors is several inputs.
    """
    inputs = _all_inputs(f"{prefix}x", x, collated=collated)
    targets = _targets(f"{prefix}y", _tensor(f"{prefix}y", y))
    weight = None if sample_weight is None else _weights(f"{prefix}sample_weight", sample_weight)
    for name, tensor in named_tensors("x", inputs).items():
        check_equal_length(len(tensor), len(targets), name=name, prefix=prefix)
    if weight is not None:
        check_equal_length(len(weight), len(targets), name="sample_weight", prefix=prefix)
    return Batch(inputs, targets, weight)


def without_zero_weights(dataset: Dataset) -> Dataset:
    """Return a dataset without the samples of weight 0, which have no effect."""
    parts = {}
    for label, part in dataset.parts():
        parts[label] = part
        if part.sample_weight is not None and bool((part.sample_weight == 0).any()):
            kept = part.sample_weight > 0
            if not bool(kept.any()):
                raise DataError(
                    f"`{label}.sample_weight` must have a weight above 0 (got {len(kept)} zeros)."
                )
            parts[label] = part.rows(kept)
    return replace(dataset, train=parts["train"], test=parts.get("test"))


def _from_members(data: object) -> Dataset:
    expected = "a Dataset, a pair (x, y) of tensors or arrays, or a dataset or loader of torch"
    if isinstance(data, str | os.PathLike):
        raise ArgumentTypeError(
            f"`data` must be {expected} (got {str(data)!r} of type {_kind(data)}). Pass "
            f"`hybridopt.load_dataset({str(data)!r})`, also for a CSV file."
        )
    if isinstance(data, Part):
        data = data.x, data.y, data.sample_weight
    if is_torch_source(data):
        batch = _collected(data)
    else:
        known = _validation.instance("data", data, tuple | list | Mapping, expected)
        batch = check_batch(*members(known))
    weight = batch.sample_weight
    part = Part(
        map_inputs(torch.clone, batch.x),
        batch.y.clone(),
        None if weight is None else weight.clone(),
    )
    if part.y.dtype != torch.int64:
        return Dataset("data", "regression", part)
    num_classes = max(2, int(part.y.max()) + 1)  # at least two classes if all labels are 0
    return Dataset("data", "classification", part, num_classes=num_classes)


def _collected(data: object) -> Batch:
    """Return all samples of a torch dataset or loader in one batch."""
    read = [check_batch(*members(one, data), collated=True) for one in all_batches(data)]
    if not read:
        raise DataError(f"`data` must hold at least one sample (got an empty {_kind(data)}).")
    try:
        weights = [one.sample_weight for one in read if one.sample_weight is not None]
        return Batch(
            concatenate([one.x for one in read]),
            torch.cat([one.y for one in read]),
            torch.cat(weights) if weights else None,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise DataError(
            f"Samples of `data` must have equal shapes in all batches (got a {_kind(data)}; "
            f"{_validation.first_line(error)}) Pad them to one length."
        ) from error


def _kind(data: object) -> str:
    return type(data).__name__


def _checked(dataset: Dataset) -> Dataset:
    parts = {}
    for label, part in dataset.parts():
        x, y, weight = check_batch(part.x, part.y, part.sample_weight, prefix=f"{label}.")
        parts[label] = Part(x, y, weight)
        row = int(y.argmax())
        if dataset.num_classes is not None and y[row] >= dataset.num_classes:
            raise DataError(
                f"`{label}.y` must hold labels 0 to {dataset.num_classes - 1} "
                f"(row {row} holds {int(y[row])}). {LABEL_HINT}"
            )
    return replace(dataset, train=parts["train"], test=parts.get("test"))


def _cast(dataset: Dataset, dtype: torch.dtype) -> Dataset:
    parts = {}

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    for label, part in dataset.parts():
        weight = None if part.sample_weight is None else cast(part.sample_weight)
        parts[label] = Part(map_inputs(cast, part.x), cast(part.y), weight)
        for name, tensor in parts[label].tensors().items():
            way_out = f"The values overflow {dtype}. Pass a wider `dtype`."
            _check_finite(f"{label}.{name}", tensor, way_out)
    return replace(dataset, train=parts["train"], test=parts.get("test"))


def _all_inputs(name: str, x: object, *, collated: bool) -> Inputs:
    """Return one tensor, or the tensors of several inputs."""
    if isinstance(x, Mapping):
        if not x or not all(isinstance(key, str) for key in x):
            raise DataError(
                f"`{name}` must have the names of the network's arguments as keys (got "
                f"{', '.join(map(repr, x)) or 'an empty dict'})."
            )
        return {key: _one_of_several(f"{name}[{key!r}]", value) for key, value in x.items()}
    if isinstance(x, tuple | list if collated else tuple) and any(map(_is_table, x)):
        return tuple(_one_of_several(f"{name}[{k}]", value) for k, value in enumerate(x))
    return _inputs(name, _tensor(name, x))


def _is_table(value: object) -> bool:
    rows = getattr(value, "ndim", 0)
    return rows > 0 and (isinstance(value, Tensor) or hasattr(value, "__array__"))


def _one_of_several(name: str, value: object) -> Tensor:
    """Return integers as int64; booleans stay, because they are masks."""
    tensor = _tensor(name, value)
    if tensor.is_floating_point():
        _check_finite(name, tensor)
        return tensor
    return tensor if tensor.dtype == torch.bool else tensor.long()


def _weights(name: str, values: object) -> Tensor:
    """Return real weights of at least 0, shape ``(samples,)``."""
    weight = _tensor(name, values)
    if weight.shape[1:].numel() != 1:
        raise DataError(
            f"`{name}` must hold one number per sample (got shape {tuple(weight.shape)}). {ADVICE}"
        )
    weight = weight.flatten()
    weight = weight if weight.is_floating_point() else weight.double()
    _check_finite(name, weight)
    row = int(weight.argmin())
    if weight[row] < 0:
        raise DataError(f"`{name}` must be at least 0 (row {row} holds {weight[row]:g}).")
    return weight


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
