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
from hybridopt.execution.dask.cluster import set_threads
from hybridopt.execution.dask.cutting import Cut, Piece
from hybridopt.execution.executor import Cost
from hybridopt.execution.job import Job, Outputs, Rows, Shared, Stream
from hybridopt.execution.readout import Expectations, Readout

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
    settings: tuple[int, int] | None = None  # None for all

    @classmethod
    def of(cls, job: Job, piece: Piece | None = None) -> PieceJob:
        """Return a piece of a job, or the whole job."""
        if piece is None:
            return cls(job.rows, job.shared, job.stream, job.shots)
        part = piece.of(job)
        some = piece.settings.start, piece.settings.stop
        settings = None if part.readout is job.readout else some
        return cls(part.rows, SharedTable.of(part.shared), part.stream, part.shots, settings)

    def job(self, program: Program, readout: Readout) -> Job:
        """Return the job; the outputs of some of the settings are not added up."""
        shared = self.shared.full() if isinstance(self.shared, SharedTable) else self.shared
        if self.settings is not None:
            assert isinstance(readout, Expectations)
            readout = readout.between(*self.settings).separate()
        return Job(program, readout, self.rows, shared, self.stream, self.shots)


@dataclass(frozen=True)
class PieceResult:
    """Result of a piece, and the smaller one of its wall time and its CPU time [s]."""

    values: Outputs
    cost: Cost
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
        wall, cpu, before = time.perf_counter(), time.process_time(), executor.usage
        values = executor.run(job)
        seconds = min(time.perf_counter() - wall, time.process_time() - cpu)
        return PieceResult(values, executor.usage - before, seconds)


class Collected:
    """Results of pieces, assembled so that the numbers are those of one process.

    Outputs of settings are added up in their order, because floating-point sums depend on it.
    """

    def __init__(self, job: Job, plan: Cut) -> None:
        self._job, self._plan = job, plan
        self._shape = len(job.shared), len(job.rows), job.readout.num_outputs(job.program)
        self._separate = plan.parts[2] > 1
        terms = (job.readout.num_settings,) if self._separate else ()
        self._values = np.zeros((*self._shape[:2], *terms, self._shape[2]))

    def add(self, piece: Piece, result: PieceResult) -> None:
        """Add the result of a piece."""
        cells = self._values[piece.shared, piece.rows]
        if self._separate:
            cells = cells[:, :, piece.settings]
        cells[...] = result.values.reshape(cells.shape)

    def values(self) -> Outputs:
        """Return the outputs of the job."""
        if not self._separate:
            return self._values
        assert self._plan.work is not None
        assert isinstance(self._job.readout, Expectations)
        size = self._plan.work.settings_at_once
        total = np.zeros(self._shape)
        for start in range(0, self._values.shape[2], size):  # as one process adds them up
            part = np.zeros(self._shape)
            if start == 0:
                part += self._job.readout.constants
            for term in np.moveaxis(self._values, 2, 0)[start : start + size]:
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
