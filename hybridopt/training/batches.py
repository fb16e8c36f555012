"""Training samples in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hybridopt import _validation
from hybridopt.bridges import QuantumNetwork
from hybridopt.data import Part, as_dataset
from hybridopt.data.coerce import check_batch
from hybridopt.errors import ArgumentError, DataError
from hybridopt.optim import OptimizerSpec

MINIBATCH = 32
Batch = tuple[Shaped[Tensor, "samples ..."], Shaped[Tensor, "samples ..."]]


@dataclass
class TensorBatches:
    """Batches of samples in memory, shuffled in each epoch by their own generator."""

    part: Part
    batch_size: int | None  # None: all samples in their given order
    generator: torch.Generator

    def __len__(self) -> int:
        return 1 if self.batch_size is None else -(-len(self.part) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        x, y = self.part.x, self.part.y
        if self.batch_size is None:
            yield x, y
            return
        order = torch.randperm(len(x), generator=self.generator).to(x.device)
        x, y = x[order], y[order]
        size = min(self.batch_size, len(x))
        yield from zip(torch.split(x, size), torch.split(y, size), strict=True)

    def samples(self) -> list[Batch]:
        """Return batches for a check of shapes: the first, and the last if it has one sample."""
        x, y = self.part.x, self.part.y
        size = min(self.batch_size or len(x), len(x))
        sizes = (size, 1) if size > 1 == len(x) % size else (size,)  # an error in normalisations
        return [(x[:size], y[:size]) for size in sizes]

    def fingerprint(self) -> str:
        """Return a hash that a resumed run compares with its own samples."""
        digest = hashlib.sha256(f"{self.batch_size}".encode())
        for tensor in (self.part.x, self.part.y):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


@dataclass
class LoaderBatches:
    """Batches of the user's `DataLoader`, each checked before use."""

    loader: DataLoader[object]
    dtype: torch.dtype  # for real numbers
    device: torch.device
    generator: torch.Generator  # of the loader, if it has one; stored in checkpoints

    def __len__(self) -> int:
        try:
            return len(self.loader)
        except TypeError:  # an iterable dataset has no length
            return 0

    def __iter__(self) -> Iterator[Batch]:
        batch = None
        for batch in self.loader:
            if not isinstance(batch, list | tuple) or len(batch) != 2:
                raise DataError(
                    f"The DataLoader `data` must yield pairs (x, y) (got {type(batch).__name__}). "
                    "Wrap the data in a TensorDataset(x, y)."
                )
            x, y = check_batch(*batch)
            yield self._moved(x), self._moved(y)
        if batch is None:
            raise DataError("The DataLoader `data` must yield a batch in each epoch (got none).")

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def samples(self) -> list[Batch]:
        """Return the first batch."""
        return [next(iter(self))]

    def fingerprint(self) -> str:
        """Return the number of batches; the samples of a loader are not read."""
        return f"loader of {len(self)} batches"


@dataclass(frozen=True)
class TrainingData:
    """Batches for training and samples for evaluation."""

    batches: TensorBatches | LoaderBatches
    evaluation: Part | None  # samples for the metric; None for a loader
    has_test: bool  # True if `evaluation` is a test part
    task: str  # "classification" or "regression"
    largest_label: int | None = None  # None for real targets and for a loader


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
    dataset = as_dataset(data, dtype=dtype)
    size = _batch_size(spec, batch_size)
    if size is not None:
        _check_whole_batch(spec, f"`batch_size` {size}")
    parts = {name: Part(part.x.to(device), part.y.to(device)) for name, part in dataset.parts()}
    batches = TensorBatches(parts["train"], size, generator)
    evaluation = parts.get("test", parts["train"])
    largest = None
    if dataset.task == "classification":
        largest = max(int(part.y.max()) for part in parts.values())
    return TrainingData(batches, evaluation, "test" in parts, dataset.task, largest)


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
    ((_, y),) = batches.samples()
    task = "regression" if y.is_floating_point() else "classification"
    return TrainingData(batches, None, has_test=False, task=task)
