"""Base class of strategies, which run a job in parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.job import Job, Outputs
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.random_stream import Sampler


@dataclass(frozen=True, eq=False)
class PartialResult:
    """Results of a part of a job: distributions per basis, or values."""

    shared: Int[np.ndarray, " s"]  # indices of rows of ``job.shared``
    rows: Int[np.ndarray, " b"]
    distributions: list[Float64[np.ndarray, "s b _"]] | None = None
    values: Float64[np.ndarray, "s b K"] | None = None  # outputs that were computed already
    variances: Float64[np.ndarray, "s b K"] | None = None  # per shot, of sampled values

    @property
    def cells(self) -> tuple[Any, ...]:
        """Index of the part in arrays (S, B, ...), by slices if possible, which copy nothing."""
        shared, rows = _span(self.shared), _span(self.rows)
        if shared is None or rows is None:
            return np.ix_(self.shared, self.rows)
        return shared, rows

    def measured(self, job: Job, sampler: Sampler | None) -> list[Float64[np.ndarray, "s b _"]]:
        """Return the probabilities per setting, or with shots the frequencies."""
        tables = self.distributions
        assert tables is not None
        if sampler is not None and job.shots is not None:
            for setting, table in enumerate(tables):  # in place, which saves memory
                tables[setting] = sampler.frequencies(
                    table, job.shots, self.shared, self.rows, setting
                )
        return tables


@dataclass(frozen=True, eq=False)
class Strategy(ABC):
    """Strategy to run jobs in parts of limited size."""

    name: ClassVar[str]
    simulator: Simulator
    limits: Limits

    @abstractmethod
    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run the job; yield parts that cover every setting once."""

    @abstractmethod
    def explain(self, job: Job) -> str:
        """Return the runs of the job in words."""

    def add_results(
        self, job: Job, entropy: Any, values: Outputs, variances: Outputs | None
    ) -> None:
        """Run the job; add its values and, with shots, their variances per shot."""
        assert job.stream is not None
        sampler = None if job.shots is None else Sampler(entropy, job.stream)
        for part in self.parts(job, sampler):
            per_shot = part.variances
            if part.values is not None:
                values[part.cells] += part.values
            else:
                tables = part.measured(job, sampler)
                values[part.cells] += job.readout.read(job.program, tables)
                if variances is not None:
                    per_shot = job.readout.variances(job.program, tables)
            if variances is not None:
                assert per_shot is not None
                variances[part.cells] += per_shot

    def stack_size(self, job: Job) -> int:
        """Return the number of samples per run."""
        settings, table = job.readout.num_settings, len(job.shared) > 1
        size = self.limits.stack_size(job.program.num_qubits, table=table, settings=settings)
        return min(size, len(job.rows))


def _span(indices: Int[np.ndarray, " n"]) -> slice | None:
    """Return consecutive indices as a slice; None if they are not consecutive."""
    if indices.size == 0 or (np.diff(indices) != 1).any():
        return None
    return slice(int(indices[0]), int(indices[-1]) + 1)


def circuit_program(job: Job) -> CircuitProgram:
    """Return the program of a job, which must have a circuit."""
    assert isinstance(job.program, CircuitProgram)
    return job.program


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " chunk"]]:
    """Yield the indices below ``count`` in parts of at most ``size``."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def grid(job: Job, size: int) -> Iterator[tuple[Int[np.ndarray, " s"], Int[np.ndarray, " b"]]]:
    """Yield rectangles of the job with at most ``size`` circuits, or one circuit each."""
    width = max(1, min(len(job.rows), size))
    for shared in chunks(len(job.shared), max(1, size // width)):
        for rows in chunks(len(job.rows), width):
            yield shared, rows
