"""Base class of strategies, which cut a job into parts and run each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.random_stream import Sampler


@dataclass(frozen=True, eq=False)
class PartialResult:
    """Results of some settings of a job: distributions for each basis, or values."""

    shared: Int[np.ndarray, " s"]  # which rows of ``job.shared``
    rows: Int[np.ndarray, " b"]
    distributions: list[Float64[np.ndarray, "s b _"]] | None = None
    values: Float64[np.ndarray, "s b K"] | None = None  # where Aer did the reading itself


@dataclass(frozen=True, eq=False)
class Strategy(ABC):
    """A way to run jobs in parts of limited size."""

    name: ClassVar[str]
    simulator: Simulator
    limits: Limits

    @abstractmethod
    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run the job; the parts cover every setting once."""

    @abstractmethod
    def explain(self, job: Job) -> str:
        """Return what would be run."""

    def stack_size(self, job: Job) -> int:
        """Return how many samples stand side by side."""
        settings, table = len(job.readout.settings(job.program)), len(job.shared) > 1
        size = self.limits.stack_size(job.program.num_qubits, table=table, settings=settings)
        return min(size, len(job.rows))


def circuit_program(job: Job) -> CircuitProgram:
    """Return the program of a job that is known to have a circuit."""
    assert isinstance(job.program, CircuitProgram)
    return job.program


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " chunk"]]:
    """Yield 0 .. count - 1 in runs of at most ``size``."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def grid(job: Job, size: int) -> Iterator[tuple[Int[np.ndarray, " s"], Int[np.ndarray, " b"]]]:
    """Yield rectangles of the job of at most ``size`` settings, or single rows of them."""
    width = max(1, min(len(job.rows), size))
    for shared in chunks(len(job.shared), max(1, size // width)):
        for rows in chunks(len(job.rows), width):
            yield shared, rows
