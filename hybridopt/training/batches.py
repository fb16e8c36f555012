"""Training samples in batches."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from hybridopt import _validation
from hybridopt._inputs import map_inputs, split_rows, tensors_of
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.data import Part, as_dataset
from hybridopt.data.coerce import check_batch, without_zero_weights
from hybridopt.data.dataset import Batch
from hybridopt.data.torch_datasets import (
    is_torch_source,
    length_of,
    members,
    read_all,
    read_rows,
    stream_batches,
    tensors_in_memory,
)
from hybridopt.errors import ArgumentError, DataError
from hybridopt.optim import OptimizerSpec

MINIBATCH = 32
EVALUATION_BATCH = 1024


@dataclass
class TensorBatches:
    """Batches of samples in memory, shuffled in each epoch by their own generator."""

    part: Part
    batch_size: int | None  # None: all samples in their given order
    generator: torch.Generator

    def __len__(self) -> int:
        return 1 if self.batch_size is None else -(-len(self.part) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self.batch_size is None:
            yield next(part_batches(self.part, len(self.part)))
            return
        order = torch.randperm(len(self.part), generator=self.generator)
        shuffled = self.part.rows(order.to(self.part.y.device))
        yield from part_batches(shuffled, min(self.batch_size, len(self.part)))

    def samples(self) -> list[Batch]:
        """Return batches for a check of shapes: the first, and the last if it has one sample."""
        size = min(self.batch_size or len(self.part), len(self.part))
        sizes = (size, 1) if size > 1 == len(self.part) % size else (size,)
        return [next(part_batches(self.part.rows(slice(size)), size)) for size in sizes]

    def fingerprint(self) -> str:
        """Return a hash that a resumed run compares with its own samples."""
        digest = hashlib.sha256(f"{self.batch_size}".encode())
        for tensor in self.part.tensors().values():
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def part_batches(part: Part, size: int = EVALUATION_BATCH) -> Iterator[Batch]:
    """Yield batches of ``size`` samples in the order of a part."""
    weights: Iterable[Tensor | None] = [None] * -(-len(part) // size)
    if part.sample_weight is not None:
        weights = torch.split(part.sample_weight, size)
    for x, y, weight in zip(
        split_rows(part.x, size), torch.split(part.y, size), weights, strict=True
    ):
        yield Batch(x, y, weight)


@dataclass
class ReadBatches(ABC):
    """Batches that are read during training and checked before use.

    The subclasses read a `DataLoader` or a torch dataset. Samples of weight 0 are left out.
    """

    source: Any
    dtype: torch.dtype  # for real numbers
    device: torch.device
    generator: torch.Generator  # of the order; stored in checkpoints
    trial: Callable[[Batch], object] | None = None  # check of a new kind of batch
    _largest: int = field(default=-1, init=False)  # largest label so far
    _kinds: set[object] = field(default_factory=set, init=False)  # of checked batches

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches per epoch; 0 if it is not known."""

    @abstractmethod
    def read(self) -> Iterator[object]:
        """Yield the batches of one epoch as they are read."""

    def ends_with_one(self) -> bool:
        """Return whether the last batch is known to have one sample."""
        return False

    def __iter__(self) -> Iterator[Batch]:
        found = False
        for read in self.read():
            batch = self.converted(read)
            if batch is not None:
                found = True
                self._check_new_kind(batch)
                yield batch
        if not found:
            raise DataError(
                f"The {self._kind} `data` must yield a batch in each epoch (got none). "
                "Samples of weight 0 do not count."
            )

    def converted(self, read: object) -> Batch | None:
        """Return a batch in the dtype and on the device of the network; None without samples."""
        x, y, weight = check_batch(*members(read, self.source), collated=True)
        x, y = map_inputs(self._moved, x), self._moved(y)
        if weight is None:
            return Batch(x, y)
        weight = self._moved(weight)
        if bool(weight.all()):
            return Batch(x, y, weight)
        part = Part(x, y, weight).rows(weight > 0)
        return Batch(part.x, part.y, part.sample_weight) if len(part) else None

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def _check_new_kind(self, batch: Batch) -> None:
        """Check a batch of other dtypes or shapes, of one sample, or with a larger label."""
        largest = -1 if batch.y.is_floating_point() else int(batch.y.max())
        tensors = (batch.y, *tensors_of(batch.x))
        # token sequences may have many lengths; one sample is an error in normalisations
        shapes = (t.shape[1:] if t.is_floating_point() else t.ndim for t in tensors)
        kind = (len(batch.y) == 1, *(t.dtype for t in tensors), *shapes)
        if self.trial is not None and (kind not in self._kinds or largest > self._largest):
            with isolated(0):
                self.trial(batch)
            self._kinds.add(kind)
            self._largest = max(self._largest, largest)

    @property
    def _kind(self) -> str:
        return "DataLoader" if isinstance(self.source, DataLoader) else type(self.source).__name__

    def samples(self) -> list[Batch]:
        """Return the first batch, and one sample of it if the last batch has one sample."""
        first = next(iter(self))
        if len(first.y) == 1 or not self.ends_with_one():
            return [first]
        return [first, *islice(part_batches(Part(*first), 1), 1)]

    def fingerprint(self) -> str:
        """Return the kind and number of batches; the samples are not read."""
        return f"loader of {len(self)} batches"


class LoaderBatches(ReadBatches):
    """Batches of the user's `DataLoader`."""

    def __len__(self) -> int:
        try:
            return len(self.source)
        except TypeError:  # an iterable dataset has no length
            return 0

    def read(self) -> Iterator[object]:
        """Yield the batches of the loader."""
        yield from read_all(self.source)

    def ends_with_one(self) -> bool:
        """Return whether the loader cuts its samples into batches with a rest of one."""
        batches = self.source.batch_sampler
        if type(batches) is BatchSampler and not batches.drop_last:
            with suppress(TypeError):  # a sampler without a length
                return len(batches.sampler) % batches.batch_size == 1  # type: ignore[arg-type]
        return False


@dataclass
class DatasetBatches(ReadBatches):
    """Batches of a torch dataset with rows by number, which are read again in each epoch.

    The order is that of `TensorBatches`. A dataset may change its samples at random.
    """

    batch_size: int | None = None  # None: all samples in their given order

    def __len__(self) -> int:
        return 1 if self.batch_size is None else -(-length_of(self.source) // self.batch_size)

    def read(self) -> Iterator[object]:
        """Yield the batches of one epoch in a new order."""
        count = length_of(self.source)
        order = torch.arange(count)
        if self.batch_size is not None:
            order = torch.randperm(count, generator=self.generator)
        yield from self._in_order(order, self.batch_size or count)

    def _in_order(self, order: Tensor, size: int) -> Iterator[object]:
        for rows in torch.split(order, min(size, max(1, len(order)))):
            if len(rows):
                yield read_rows(self.source, rows.tolist())

    def ends_with_one(self) -> bool:
        """Return whether the last batch has one sample."""
        return self.batch_size is not None and length_of(self.source) % self.batch_size == 1

    def samples(self) -> list[Batch]:
        """Return the batches for a check of shapes without a change of the order."""
        before = self.generator.get_state()
        try:
            return super().samples()
        finally:
            self.generator.set_state(before)

    def fingerprint(self) -> str:
        """Return class, number of samples and batch size; the samples may change."""
        return f"{self._kind} of {length_of(self.source)} samples in batches of {self.batch_size}"


class InOrder:
    """Samples of a dataset in their order, for the metric."""

    def __init__(self, batches: DatasetBatches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        order = torch.arange(length_of(self._batches.source))
        for read in self._batches._in_order(order, EVALUATION_BATCH):
            batch = self._batches.converted(read)
            if batch is not None:
                yield batch


@dataclass
class StreamBatches(ReadBatches):
    """Batches of a torch dataset without rows by number, in its order."""

    batch_size: int | None = None  # None: all samples

    def __len__(self) -> int:
        return 1 if self.batch_size is None else 0

    def read(self) -> Iterator[object]:
        """Yield the batches of one epoch."""
        yield from stream_batches(self.source, self.batch_size)

    def fingerprint(self) -> str:
        """Return class and batch size; the number of samples is not known."""
        return f"{self._kind} in batches of {self.batch_size}"


@dataclass(frozen=True)
class PartInOrder:
    """Samples of a part in their order, for loss and metric."""

    part: Part

    def __iter__(self) -> Iterator[Batch]:
        yield from part_batches(self.part)


@dataclass(frozen=True)
class TrainingData:
    """Batches for training and samples for evaluation."""

    batches: TensorBatches | ReadBatches
    evaluation: PartInOrder | InOrder | None  # samples for the metric; None for a loader
    has_test: bool  # True if `evaluation` is a test part
    task: str  # "classification" or "regression"
    largest_label: int | None = None  # None for real targets and for data read in training


def training_data(
    data: object,
    network: nn.Module,
    spec: OptimizerSpec | None,
    batch_size: object,
    generator: torch.Generator,
) -> TrainingData:
    """Check the data and split it into batches with the dtype and device of the network."""
    example = next(p for p in network.parameters() if p.is_floating_point())
    dtype, device = network_dtype(network), example.device
    if isinstance(data, DataLoader):
        own = getattr(data.sampler, "generator", None) or data.generator or generator
        return _from_loader(LoaderBatches(data, dtype, device, own), spec, batch_size)
    size = _batch_size(spec, batch_size)
    if size is not None:
        _check_whole_batch(spec, f"`batch_size` {size}")
    if is_torch_source(data) and tensors_in_memory(data) is None:
        if isinstance(data, IterableDataset):
            _check_restarts(data)
            return _read(StreamBatches(data, dtype, device, generator, batch_size=size))
        batches = DatasetBatches(data, dtype, device, generator, batch_size=size)
        return _read(batches, InOrder(batches))
    dataset = without_zero_weights(as_dataset(data, dtype=dtype))
    parts = {name: part.to(device) for name, part in dataset.parts()}
    largest = None
    if dataset.task == "classification":
        largest = max(int(part.y.max()) for part in parts.values())
    evaluation = PartInOrder(parts.get("test", parts["train"]))
    in_memory = TensorBatches(parts["train"], size, generator)
    return TrainingData(in_memory, evaluation, "test" in parts, dataset.task, largest)


def _check_restarts(data: Any) -> None:  # an IterableDataset
    if iter(data) is iter(data):
        raise DataError(
            f"The {type(data).__name__} `data` must start again in each epoch (got the same "
            "iterator twice). Return a new iterator from `__iter__`."
        )


def network_dtype(network: nn.Module) -> torch.dtype:
    """Return the dtype of the computation; the angles of a quantum network may have another."""
    for module in network.modules():
        if isinstance(module, QuantumNetwork):
            return module.compute_dtype
    return next(p.dtype for p in network.parameters() if p.is_floating_point())


def _batch_size(spec: OptimizerSpec | None, batch_size: object) -> int | None:
    if batch_size == "auto":
        return None if spec is not None and spec.full_batch else MINIBATCH
    if isinstance(batch_size, str):
        raise ArgumentError(f'`batch_size` must be "auto", None or an int (got {batch_size!r}).')
    return _validation.optional_integer("batch_size", batch_size, minimum=1)


def _check_whole_batch(spec: OptimizerSpec | None, given: str) -> None:
    if spec is not None and spec.name == "gd":
        raise ArgumentError(
            f'optimizer="gd" must have all samples in one batch (got {given}). Use '
            'optimizer="sgd" for smaller batches.'
        )


def _from_loader(
    batches: LoaderBatches, spec: OptimizerSpec | None, batch_size: object
) -> TrainingData:
    if batch_size != "auto":
        raise ArgumentError(
            f"`batch_size` must be left out with a DataLoader (got {batch_size!r})."
        )
    if len(batches) != 1:
        _check_whole_batch(spec, f"a DataLoader with {len(batches)} batches")
    return _read(batches)


def _read(batches: ReadBatches, evaluation: InOrder | None = None) -> TrainingData:
    first = batches.samples()[0]
    task = "regression" if first.y.is_floating_point() else "classification"
    return TrainingData(batches, evaluation, has_test=False, task=task)
