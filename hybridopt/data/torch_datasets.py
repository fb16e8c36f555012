"""Samples of torch datasets and data loaders, and the members of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)
from torch.utils.data import Dataset as TorchDataset

from hybridopt._random import isolated
from hybridopt.errors import DataError, HybridOptError

TARGETS = ("y", "target", "targets", "label", "labels")
WEIGHT = "sample_weight"
ROWS = 1024  # samples that are read at a time
FORMS = '(x, y), (x, y, sample_weight) or a dict with inputs and "y"'
ADVICE = "Put several inputs in one tuple, ((a, b), y), or in a dict of arguments, ({'a': a}, y)."
Collate = Callable[[list[Any]], Any]


def members(batch: object, source: object = None) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights (or None) of a pair, a triple or a dict.

    The inputs of a dict are its other keys, arguments of the network. One input ``x`` is passed by
    its position. ``source`` is the dataset or loader of the batch, for messages.
    """
    if isinstance(batch, Mapping):
        return _members_of_dict(batch)
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        size = f" with {len(batch)} members" if isinstance(batch, tuple | list) else ""
        owner = "" if source is None else f" from {type(source).__name__}"
        raise DataError(
            f"`data` must be {FORMS} (got a {type(batch).__name__}{size}{owner}). {ADVICE}"
        )
    x, y, *weight = batch
    return x, y, weight[0] if weight else None


def _members_of_dict(batch: Mapping[Any, Any]) -> tuple[Any, Any, Any]:
    targets = [key for key in TARGETS if key in batch]
    inputs = {key: batch[key] for key in batch if key not in (*targets, WEIGHT)}
    if len(targets) != 1 or not inputs or not all(isinstance(key, str) for key in inputs):
        raise DataError(
            f"`data` must have inputs and one of the keys {', '.join(TARGETS)} (got the keys "
            f"{', '.join(map(repr, batch)) or 'of an empty dict'}). {ADVICE}"
        )
    x = inputs["x"] if list(inputs) == ["x"] else inputs
    return x, batch[targets[0]], batch.get(WEIGHT)


def is_torch_source(data: object) -> bool:
    """Return whether data are a loader, a torch dataset, or an object with rows like one."""
    if isinstance(data, DataLoader | TorchDataset):
        return True
    rows = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    known = (Tensor, str, bytes, Sequence, Mapping, type)
    return rows and not isinstance(data, known) and not hasattr(data, "__array__")


def tensors_in_memory(dataset: object) -> tuple[Tensor, ...] | None:
    """Return the tensors of a TensorDataset, or of its subsets and concatenations; else None."""
    fetch = getattr(type(dataset), "__getitem__", None)
    if isinstance(dataset, TensorDataset) and fetch is TensorDataset.__getitem__:
        return dataset.tensors
    if isinstance(dataset, Subset) and fetch is Subset.__getitem__:
        whole = tensors_in_memory(dataset.dataset)
        with _errors_of(dataset):
            rows = torch.as_tensor(list(dataset.indices), dtype=torch.int64)
            return whole and tuple(tensor[rows.to(tensor.device)] for tensor in whole)
    if isinstance(dataset, ConcatDataset) and fetch is ConcatDataset.__getitem__:
        parts = [tensors_in_memory(part) for part in dataset.datasets]
        found = [part for part in parts if part is not None]
        kinds = [[(t.dtype, t.shape[1:], t.device) for t in part] for part in found]
        if len(found) == len(parts) and all(kind == kinds[0] for kind in kinds):
            return tuple(torch.cat(column) for column in zip(*found, strict=True))
    return None


def length_of(dataset: Any) -> int:
    """Return the number of samples of a dataset with rows by number."""
    try:
        return len(dataset)
    except (TypeError, NotImplementedError, ValueError, OverflowError) as error:
        raise DataError(
            f"The dataset `data` must have a length (got {type(dataset).__name__}: {error}). "
            "Define `__len__`, or derive the class from IterableDataset."
        ) from error


def read_rows(dataset: Any, rows: Sequence[int], collate: Collate = default_collate) -> object:
    """Return a batch of rows by number, as a loader makes it."""
    with _errors_of(dataset):
        at_once = getattr(dataset, "__getitems__", None)
        samples = at_once(list(rows)) if callable(at_once) else [dataset[row] for row in rows]
    return collated(samples, collate)


def stream_batches(dataset: Iterable[Any], size: int | None) -> Iterator[object]:
    """Yield batches of a dataset without rows by number; None is one batch of all samples."""
    samples = read_all(dataset)
    while batch := list(islice(samples, size)):
        yield collated(batch)


def read_all(source: Iterable[Any]) -> Iterator[Any]:
    """Yield the items of a dataset or loader; its errors become a DataError."""
    with _errors_of(source):
        items = iter(source)
    while True:
        with _errors_of(source):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def collated(samples: list[Any], collate: Collate = default_collate) -> object:
    """Return samples as one batch."""
    try:
        return collate(samples)
    except HybridOptError:
        raise
    except Exception as error:
        raise DataError(
            "Samples of `data` must be tensors, arrays or numbers of equal shapes (got a "
            f"{type(samples[0]).__name__}; {type(error).__name__}: {error}). Convert them in the "
            "dataset, or pass a DataLoader with a `collate_fn`."
        ) from error


@contextmanager
def _errors_of(dataset: object) -> Iterator[None]:
    try:
        yield
    except HybridOptError:
        raise
    except Exception as error:
        raise DataError(
            f"The {type(dataset).__name__} `data` must yield its samples (got "
            f"{type(error).__name__}: {error})."
        ) from error


def all_batches(data: Any) -> Iterator[object]:
    """Yield each sample of a dataset or loader once, in an order that does not change.

    A loader that shuffles or batches all rows of its dataset is read in the order of the rows.
    Other loaders are read as they are, with a seed. The global random state does not change.
    """
    if not isinstance(data, DataLoader):
        yield from _batches_of_dataset(data, default_collate)
    elif _reads_each_row_once(data):
        yield from _batches_of_dataset(data.dataset, data.collate_fn)
    else:
        yield from _seeded_batches(data)


def _batches_of_dataset(dataset: Any, collate: Collate) -> Iterator[object]:
    tensors = tensors_in_memory(dataset) if collate is default_collate else None
    if tensors is not None:
        yield tensors
    elif isinstance(dataset, IterableDataset):
        with isolated(0):
            yield from list(stream_batches(dataset, ROWS))
    else:
        rows = range(length_of(dataset))
        with isolated(0):
            yield from [read_rows(dataset, rows[k : k + ROWS], collate) for k in rows[::ROWS]]


def _reads_each_row_once(loader: Any) -> bool:
    sampler = loader.sampler
    if type(loader.batch_sampler) is not BatchSampler or isinstance(
        loader.dataset, IterableDataset
    ):
        return False
    if isinstance(sampler, RandomSampler):
        return not sampler.replacement and sampler.num_samples == length_of(loader.dataset)
    return type(sampler) is SequentialSampler


def _seeded_batches(loader: Any) -> Iterator[object]:
    own = [loader.generator, getattr(loader.sampler, "generator", None)]
    states = [(one, one.get_state()) for one in own if isinstance(one, torch.Generator)]
    try:
        with isolated(0):
            yield from list(read_all(loader))
    finally:
        for generator, state in states:
            generator.set_state(state)
