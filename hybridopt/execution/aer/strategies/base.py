"""What every strategy does: cut a job into pieces and run each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.execution.job import Job
from hybridopt.execution.sampling import Sampler


@dataclass(frozen=True, eq=False)
class Piece:
    """What is known of some settings of a job.

    Attributes:
        shared: Rows of ``job.shared``, shape ``(s,)``.
        rows: Rows of ``job.rows``, shape ``(b,)``.
        distributions: Exact probabilities for each measurement basis, ``(s, b, outcomes)``; or
        values: Where Aer did the reading itself, the outputs, shape ``(s, b, K)``.
    """

    shared: Int[np.ndarray, " s"]
    rows: Int[np.ndarray, " b"]
    distributions: list[Float64[np.ndarray, "s b _"]] | None = None
    values: Float64[np.ndarray, "s b K"] | None = None


@runtime_checkable
class Strategy(Protocol):
    """A way to run jobs."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """Run the job; the pieces cover every setting once."""
        ...

    def explain(self, job: Job) -> str:
        """What would be run."""
        ...


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " chunk"]]:
    """0 .. count - 1 in runs of at most ``size``."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def grid(job: Job, size: int) -> Iterator[tuple[Int[np.ndarray, " s"], Int[np.ndarray, " b"]]]:
    """Rectangles of the job of at most ``size`` settings, or single rows of them."""
    width = max(1, min(len(job.rows), size))
    for shared in chunks(len(job.shared), max(1, size // width)):
        for rows in chunks(len(job.rows), width):
            yield shared, rows
