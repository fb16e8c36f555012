"""Pieces of jobs as tasks on workers, and their results in the order of the job."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import Program
from hybridopt.execution.aer.executor import AerExecutor
from hybridopt.execution.cost import Cost
from hybridopt.execution.dask.cluster import set_threads
from hybridopt.execution.dask.cutting import Cut, Piece
from hybridopt.execution.job import Job, Outputs, Rows, Shared, Stream
from hybridopt.execution.readout import Expectations, Readout
from hybridopt.execution.result import Result

_RUNNING = threading.Lock()  # stacks of a program hold the angles of one run at a time
Record = TypeVar("Record")


@dataclass(frozen=True)
class SharedTable:
    """Rows of shared angles as the first row, and the angles in which the others differ.

    Shifted rows of a gradient differ in one angle each, so P angles need P entries, not P^2.
    """

    first: Float64[np.ndarray, " O"]
    size: int
    places: tuple[np.ndarray, ...]  # row and column of each of them
    angles: Float64[np.ndarray, " N"]

    @classmethod
    def of(cls, shared: Shared) -> SharedTable | Shared:
        """Return the smaller form of a table."""
        places = np.nonzero(shared != shared[0])
        if 4 * len(places[0]) >= shared.size:
            return shared
        return cls(shared[0], len(shared), places, shared[places])

    def full(self) -> Shared:
        """Return the table."""
        table = np.tile(self.first, (self.size, 1))
        table[self.places] = self.angles
        return table


@dataclass(frozen=True)
class PieceJob:
    """Job of a piece without the objects that workers keep."""

    rows: Rows
    shared: SharedTable | Shared
    stream: Stream | None
    shots: int | None
    precision: float | None
    settings: tuple[int, int] | None = None  # None for all

    @classmethod
    def of(cls, job: Job, piece: Piece | None = None) -> PieceJob:
        """Return a piece of a job, or the whole job."""
        if piece is None:
            return cls(job.rows, job.shared, job.stream, job.shots, job.precision)
        part = piece.of(job)
        some = piece.settings.start, piece.settings.stop
        settings = None if part.readout is job.readout else some
        shared = SharedTable.of(part.shared)
        return cls(part.rows, shared, part.stream, part.shots, part.precision, settings)

    def job(self, program: Program, readout: Readout) -> Job:
        """Return the job; the outputs of some of the settings are not added up."""
        shared = self.shared.full() if isinstance(self.shared, SharedTable) else self.shared
        if self.settings is not None:
            assert isinstance(readout, Expectations)
            readout = readout.between(*self.settings).separate()
        tables = self.rows, shared
        return Job(program, readout, *tables, self.stream, self.shots, self.precision)


@dataclass(frozen=True)
class PieceResult:
    """Result of a piece, and the smaller one of its wall time and its CPU time [s]."""

    result: Result
    seconds: float


def run_piece(
    executor: AerExecutor,
    program: Program,
    readout: Readout,
    piece: PieceJob,
    client_process: tuple[str, int],
) -> PieceResult:
    """Run a piece; a process runs one at a time."""
    set_threads(client_process)
    job = piece.job(program, readout)
    with _RUNNING:
        wall, cpu = time.perf_counter(), time.process_time()
        result = executor.run(job)
        return PieceResult(result, min(time.perf_counter() - wall, time.process_time() - cpu))


class Collected:
    """Results of pieces, assembled so that the numbers are those of one process.

    Outputs of settings are added up in their order, because floating-point sums depend on it.
    """

    def __init__(self, job: Job, plan: Cut, shots: int | None) -> None:
        self._readout, self._plan, self._shots = job.readout, plan, shots
        self._shape = len(job.shared), len(job.rows), job.readout.num_outputs(job.program)
        self._is_summed = plan.parts[2] == 1
        terms = () if self._is_summed else (job.readout.num_settings,)
        self._values = np.zeros((*self._shape[:2], *terms, self._shape[2]))
        self._variances = None if shots is None else np.zeros_like(self._values)
        self._cost = Cost()

    def add(self, piece: Piece, result: Result) -> None:
        """Add the result of a piece."""
        place = (piece.shared, piece.rows, *(() if self._is_summed else (piece.settings,)))
        for table, found in ((self._values, result.values), (self._variances, result.variances)):
            if table is not None and found is not None:
                table[place] = found.reshape(table[place].shape)
        self._cost += result.cost

    def result(self) -> Result:
        """Return the result of the job."""
        values, variances = self._values, self._variances
        if not self._is_summed:
            assert isinstance(self._readout, Expectations)
            values = self._sum(values, self._readout.constants)
            if variances is not None and self._shots is not None:
                variances = self._sum(variances, 0.0) / self._shots
        return Result(values, variances, self._cost)

    def _sum(self, terms: Float64[np.ndarray, "S B G K"], start: Any) -> Outputs:
        """Return the sum over settings, in the parts in which one process adds them up."""
        assert self._plan.work is not None
        total, size = np.zeros(self._shape), self._plan.work.settings_at_once
        for first in range(0, terms.shape[2], size):
            part = np.zeros(self._shape) + (start if first == 0 else 0.0)
            for term in np.moveaxis(terms, 2, 0)[first : first + size]:
                part += term
            total += part
        return total


class PerObject(Generic[Record]):
    """Records of objects by identity, made on first use and dropped with the object."""

    def __init__(self, make: Callable[[Any], Record]) -> None:
        self._make = make
        self._records: dict[int, tuple[weakref.ref[Any], Record]] = {}

    def of(self, value: Any) -> Record:
        """Return the record of an object."""
        key, records = id(value), self._records
        if key not in records or records[key][0]() is not value:
            reference = weakref.ref(value, lambda _: records.pop(key, None))
            records[key] = reference, self._make(value)
        return records[key][1]

    def clear(self) -> None:
        """Make all records again on their next use."""
        self._records.clear()
