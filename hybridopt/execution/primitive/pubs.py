"""Pubs of a job: one per measurement basis for a sampler, or one for an estimator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.program import template_of
from hybridopt.execution.job import Job
from hybridopt.execution.primitive.isa_circuits import IsaCircuit, IsaCircuits, Table
from hybridopt.execution.primitive.reading import Values, estimates_of, read_shots, shots_of
from hybridopt.execution.readout import Expectations


@dataclass(frozen=True, eq=False)
class Part:
    """Cells of a job, combinations of rows and shared angles, that are sent together.

    Attributes:
        pubs: Content of the pubs, in the order of settings, then of cells.
        cells: Number of cells.
        circuit: Fingerprint of circuits and readout.
        angles: Fingerprint of the values of the angles.
    """

    job: Job
    pubs: Sequence[tuple[Any, ...]]
    cells: int
    circuit: str
    angles: str

    def read(
        self, results: Sequence[Any], *, is_sampler: bool, precision: float
    ) -> tuple[Values, Values]:
        """Return outputs and variances, one row per cell, from the results of the pubs."""
        job, readout = self.job, self.job.readout
        per_pub = 1 if len(results) >= self.cells and self._is_split(is_sampler) else self.cells
        if is_sampler:
            settings, shots = readout.settings(job.program), []
            count = len(results) // len(settings)
            for place, setting in enumerate(settings):
                own = results[place * count : (place + 1) * count]
                width = len(setting.qubits)
                shots.append(np.concatenate([shots_of(one, per_pub, width) for one in own]))
            return read_shots(readout, job.program, shots)
        assert isinstance(readout, Expectations)
        acting = acting_observables(readout)
        pairs = [estimates_of(one, (len(acting), per_pub), precision) for one in results]
        values = np.tile(readout.constants, (self.cells, 1))
        variances = np.zeros_like(values)
        values[:, acting] = np.concatenate([one for one, _ in pairs])
        variances[:, acting] = np.concatenate([one for _, one in pairs])
        return values, variances

    def _is_split(self, is_sampler: bool) -> bool:
        """Return whether there is one pub per cell, as circuits have no free parameters."""
        return len(self.pubs[0]) == (1 if is_sampler else 2)


def acting_observables(readout: Expectations) -> list[int]:
    """Return the observables that are not multiples of the identity."""
    return [
        place
        for place, one in enumerate(readout.observables)
        if bool((one.paulis.x | one.paulis.z).any())
    ]


def parts_of(job: Job, circuits: IsaCircuits, size: int, *, is_sampler: bool) -> Iterator[Part]:
    """Yield the job in parts of at most ``size`` cells, in the order (shared, row)."""
    is_bound = template_of(job.program) is None
    angles = job.rows, job.shared
    if not is_bound:
        angles = job.program.template_angles(*angles)
    rows = np.tile(angles[0], (len(job.shared), 1))
    shared = np.repeat(angles[1], len(job.rows), axis=0)
    for first in range(0, len(rows), size):
        cells = slice(first, first + size)
        table, values = np.concatenate([rows[cells], shared[cells]], axis=1), None
        if is_bound:
            repeated = list(circuits.bound(job.program, rows[cells], shared[cells]))
        else:
            isa = circuits.of(job.program)
            values = isa.values(table)
            repeated = [isa] * (1 if values is not None else len(table))
        pubs = _pubs(job, circuits, repeated, values, is_sampler=is_sampler)
        parts = isa_fingerprints(repeated), job.readout.fingerprint
        yield Part(job, list(pubs), len(table), digest("pubs", *parts), digest("angles", table))


def isa_fingerprints(circuits: Sequence[IsaCircuit]) -> list[str]:
    """Return the fingerprints of different circuits."""
    return [one.fingerprint for one in {id(one): one for one in circuits}.values()]


def _pubs(
    job: Job,
    circuits: IsaCircuits,
    isa: Sequence[IsaCircuit],
    values: Table | None,
    *,
    is_sampler: bool,
) -> Iterator[tuple[Any, ...]]:
    rest = () if values is None else (values,)
    if is_sampler:
        for setting in job.readout.settings(job.program):
            for one in isa:
                yield (circuits.measured(one, setting), *rest)
        return
    assert isinstance(job.readout, Expectations)
    for one in isa:
        acting = [job.readout.observables[place] for place in acting_observables(job.readout)]
        placed = [one.observable(observable) for observable in acting]
        yield (one.circuit, [[o] for o in placed] if rest else placed, *rest)
