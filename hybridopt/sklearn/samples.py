"""Samples of scikit-learn for `fit`: dense or sparse rows, targets and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor
from torch.utils.data import Dataset

from hybridopt.errors import DataError, ResourceError
from hybridopt.execution.memory_budget import physical_memory
from hybridopt.optim import spec_of
from hybridopt.training.batches import EVALUATION_BATCH

SPARSE = ("csr", "csc")  # other formats are converted to the first


class SparseRows(Dataset[tuple[Tensor, ...]]):
    """Rows of a sparse matrix, dense when they are read, with targets and weights."""

    def __init__(self, x: Any, *columns: Tensor, dtype: torch.dtype) -> None:
        self._x, self._columns, self._dtype = x.tocsr(), columns, dtype

    def __len__(self) -> int:
        return int(self._x.shape[0])

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, ...]]:
        dense = torch.tensor(self._x[rows].toarray(), dtype=self._dtype)
        return list(zip(dense, *(column[rows] for column in self._columns), strict=True))


def check_memory(x: Any, optimizer: str, batch_size: object) -> None:
    """Raise a ResourceError if a batch of dense rows needs more than half of the memory."""
    if not sparse.issparse(x):
        return
    count, width = x.shape
    spec = spec_of(optimizer)
    full = batch_size == "auto" and spec is not None and spec.full_batch
    size = max(EVALUATION_BATCH, batch_size if isinstance(batch_size, int) else 0)
    needed = (count if full or batch_size is None else min(size, count)) * width * 8
    if needed > physical_memory() // 2:
        raise ResourceError(
            f"Dense rows of a batch must fit into half of the memory (got {needed:,} bytes for "
            f"{width:,} features). Reduce the features, for example with TruncatedSVD, or pass a "
            "smaller `batch_size` with an optimizer that uses batches."
        )


def training_samples(
    x: Any, y: Tensor, sample_weight: np.ndarray | None, dtype: torch.dtype
) -> object:
    """Return samples for `fit`; sparse rows become dense in batches."""
    columns = [y] if sample_weight is None else [y, torch.from_numpy(sample_weight)]
    if sparse.issparse(x):
        return SparseRows(x, *columns, dtype=dtype)
    return torch.tensor(x, dtype=dtype), *columns


def dense_batches(x: Any, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield features as dense tensors of at most 1,024 rows."""
    rows = x.tocsr() if sparse.issparse(x) else x
    for start in range(0, x.shape[0], EVALUATION_BATCH):
        part = rows[start : start + EVALUATION_BATCH]
        yield torch.tensor(part.toarray() if sparse.issparse(x) else part, dtype=dtype)


def checked_weights(sample_weight: object, x: Any) -> np.ndarray | None:
    """Return one weight of at least 0 per sample, in float64; None for None."""
    if sample_weight is None:
        return None
    weight = np.asarray(_check_sample_weight(sample_weight, x, dtype=np.float64))
    row = int(weight.argmin())
    if weight[row] < 0:
        raise DataError(f"`sample_weight` must be at least 0 (row {row} holds {weight[row]:g}).")
    if not weight.any():
        raise DataError(
            f"`sample_weight` must have a weight above 0 (got {len(weight)} zeros), because no "
            "sample of any class remains."
        )
    return weight.copy()


def without_zeros(
    x: Any, y: Tensor, sample_weight: np.ndarray | None
) -> tuple[Any, Tensor, np.ndarray | None]:
    """Return the samples without those of weight 0."""
    if sample_weight is None or sample_weight.all():
        return x, y, sample_weight
    kept = np.flatnonzero(sample_weight)
    rows = x.tocsr() if sparse.issparse(x) else x
    return rows[kept], y[kept], sample_weight[kept]
