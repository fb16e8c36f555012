"""Strategy that evolves small states in buffers of numpy, by gates of Aer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.circuits.program import CircuitProgram, SharedRow
from hybridopt.execution.aer.in_place.circuit import (
    InPlaceCircuit,
    States,
    forward,
    is_faster,
    layers_with_row_angles,
)
from hybridopt.execution.aer.in_place.reading import distributions, exact_outputs
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, circuit_program
from hybridopt.execution.aer.strategies.interpolation import Interpolation, layers_of_angles
from hybridopt.execution.aer.strategies.stacked import stack_in_words
from hybridopt.execution.job import Job, Shared
from hybridopt.execution.memory_budget import BYTES_PER_CHECKPOINT_AMPLITUDE, Limits
from hybridopt.execution.random_stream import Sampler

AMPLITUDES_WORTH_SUMS = 1 << 12  # of a table; measured: sums take longer than gates of smaller ones
AMPLITUDES_OF_A_BRANCH = 1 << 15  # fewer, larger branches waste gates, but need fewer calls


class InPlace(Strategy):
    """Strategy with a common row in place, whose states at some layers start the other rows."""

    name = "in-place"

    @staticmethod
    def fits(job: Job, limits: Limits, *, always: bool = False) -> bool:
        """Return True if this is faster (or ``always``), and the states fit into memory."""
        amplitudes = len(job.rows) << job.program.num_qubits
        layers = len(circuit_program(job).layers) + 2 if len(job.shared) > 1 else 1
        needed = BYTES_PER_CHECKPOINT_AMPLITUDE * 2 * amplitudes * (layers + 1)
        faster = always or is_faster(amplitudes, len(job.shared))
        return faster and needed <= limits.max_memory // 2

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run the common row, then the others, in order of their first different layer."""
        program = circuit_program(job)
        common, first, differing = _common_row(program, job.shared)
        points = layers_with_row_angles(program).union(differing)
        circuit = InPlaceCircuit.of(program, points)
        fit = self.limits.max_memory // 4 // BYTES_PER_CHECKPOINT_AMPLITUDE
        row = len(job.rows) << program.num_qubits
        size = max(1, min(AMPLITUDES_OF_A_BRANCH, fit) // row)
        end = len(program.layers)
        sums = self._rows(self._sums(job, common), job, common)
        order = np.argsort(first[sums.members], kind="stable")
        branches = list(sums.parts(order, size))
        starts = [int(first[sums.members[branch[0]]]) for branch in branches]
        run = _CommonRow(circuit, job, common, set(starts))
        self.simulator.count_in_place(
            job.readout, len(job.rows) * len(job.shared), 1 + len(branches)
        )
        same = np.flatnonzero(first == end)
        if same.size:
            yield self._read(job, same, np.broadcast_to(run.final, (len(same), *run.final.shape)))
        for branch, start in zip(branches, starts, strict=True):
            if not sums.weights[branch, 0].any():  # each row is run
                states = run.branch(sums.runs[sums.sources[branch, 0]], start)
                yield self._read(job, sums.members[branch], states)
                continue
            which = np.unique(sums.sources[branch])
            ran = run.branch(sums.runs[which], start).reshape(len(which), -1)
            for some in np.array_split(branch, -(-len(branch) // size)):
                states = sums.states(some, run.final.reshape(1, -1), ran, which)
                yield self._read(job, sums.members[some], states)

    def _sums(self, job: Job, common: SharedRow) -> Interpolation:
        """Return the rows that run, and the sums of their states."""
        program, shared = circuit_program(job), job.shared
        large = len(shared) * len(job.rows) << program.num_qubits >= AMPLITUDES_WORTH_SUMS
        return Interpolation.of(program, shared if large else shared[:0], common)

    def _rows(self, sums: Interpolation, job: Job, common: SharedRow) -> Interpolation:
        others = (job.shared != common).any(axis=1)
        others[sums.members] = False
        return sums.and_rows(np.flatnonzero(others), job.shared)

    def explain(self, job: Job) -> str:
        """Return the runs in words."""
        common = _common_row(circuit_program(job), job.shared)[0]
        return (
            f"{stack_in_words(len(job.rows))}{self._sums(job, common).explain()}. In place: gates "
            "of Aer act on a buffer of numpy, and no job is submitted to Aer; numpy multiplies "
            "phases that differ between samples or sets of angles"
        )

    def _read(self, job: Job, members: Int[np.ndarray, " s"], states: np.ndarray) -> PartialResult:
        program, samples = circuit_program(job), np.arange(len(job.rows))
        cells = states.reshape(-1, 1 << program.num_qubits)
        shape = len(members), len(samples), -1
        if job.shots is None:
            values = exact_outputs(program, job.readout, cells, self.limits)
            return PartialResult(members, samples, values=values.reshape(shape))
        tables = distributions(cells, job.readout.settings(program))
        return PartialResult(members, samples, [table.reshape(shape) for table in tables])


class _CommonRow:
    """States of the most frequent angles, and the other rows that start from them."""

    def __init__(
        self,
        circuit: InPlaceCircuit,
        job: Job,
        common: Float64[np.ndarray, " O"],
        starts: set[int],
    ) -> None:
        self._circuit, self._job, self._common = circuit, job, common
        self._gates = circuit.gates(common)
        self._tables = {
            point: phases.table(job.rows) for point, phases in circuit.per_sample.items()
        }
        self._kept: dict[int, States] = {}

        def change(point: int, states: States) -> States | None:
            table, grown = self._tables.get(point), None
            if table is not None:
                if len(states) < len(table):
                    states = grown = states * table
                else:
                    states *= table
            if point in starts:
                self._kept[point] = states if grown is not None else states.copy()
            return grown

        final = forward(circuit.start(job.rows), self._gates, circuit.points, change)
        self.final = np.broadcast_to(final, (len(job.rows), final.shape[1]))

    def branch(self, shared: Shared, start: int) -> np.ndarray:
        """Return the final states of rows that equal the common one before a layer."""
        circuit, rows = self._circuit, len(self._job.rows)
        differences = shared - self._common
        kept = self._kept[start]
        states = np.tile(np.broadcast_to(kept, (rows, kept.shape[1])), (len(shared), 1))

        def deviate(point: int, cells: States) -> None:
            phases = circuit.shared.get(point)
            if phases is None:
                return
            moved = np.flatnonzero(differences[:, phases.angles].any(axis=1))
            if moved.size:
                by_row = cells.reshape(len(shared), rows, -1)
                by_row[moved] *= phases.table(differences[moved])[:, None]

        def change(point: int, cells: States) -> None:
            table = self._tables.get(point)
            if table is not None:
                by_row = cells.reshape(len(shared), rows, -1)
                by_row *= table
            deviate(point, cells)

        deviate(start, states)
        first = circuit.points.index(start)
        final = forward(states, self._gates[first + 1 :], circuit.points[first + 1 :], change)
        return final.reshape(len(shared), rows, -1)


def _common_row(
    program: CircuitProgram, shared: Float64[np.ndarray, "S O"]
) -> tuple[Float64[np.ndarray, " O"], Int[np.ndarray, " S"], list[int]]:
    """Return usual angles, the first other layer of each row, and all layers with others.

    If more than half of the rows have one value of an angle, as in tables of shifts, it is the
    median.
    """
    end = len(program.layers)
    if len(shared) == 1:
        return shared[0], np.array([end]), []
    common = shared[0] if len(shared) == 2 else np.sort(shared, axis=0)[len(shared) // 2]
    layers = layers_of_angles(program)
    places = np.where(shared != common, layers, end)
    differing = layers[(places < end).any(axis=0)]
    return common, places.min(axis=1, initial=end), np.unique(differing).tolist()
