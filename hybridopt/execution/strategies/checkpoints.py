"""Rows of a table that begin alike share their beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from qiskit import QuantumCircuit

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.execution.job import Job
from hybridopt.execution.limits import Limits
from hybridopt.execution.readout import Setting
from hybridopt.execution.sampling import Sampler
from hybridopt.execution.simulator import Load, Simulator, double
from hybridopt.execution.stack import Stack
from hybridopt.execution.strategies.piece import Piece, chunks
from hybridopt.execution.strategies.stacked import FUSION_OFF, read_out


@dataclass(frozen=True, eq=False)
class Plan:
    """Where each row of a table leaves the row that most have in common.

    Attributes:
        common: The angles most frequent in each layer, shape ``(O,)`` [rad].
        first: For each row of the table the first layer in which it differs from ``common``; the
            number of layers if it does not.
    """

    common: Float64[np.ndarray, " O"]
    first: Int[np.ndarray, " S"]


class Checkpoints:
    """The common row is run once and its state saved before each layer; others start from there.

    For the table of a shift rule, in which each row moves one angle, that is half of the work.

    Args:
        simulator: Runs the circuits.
        limits: Size of the pieces.
    """

    name = "checkpoints"

    def __init__(self, simulator: Simulator, limits: Limits) -> None:
        self._simulator = simulator
        self._limits = limits

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """Stack by stack; in each the common row first, then layer by layer."""
        program = job.program
        assert isinstance(program, CircuitProgram)
        plan = plan_of(program, job.shared)
        size = self._limits.stack_size(program.num_qubits, table=True)
        for rows in chunks(len(job.rows), size):
            stack = Stack(program, job.rows[rows])
            yield from self._stack_pieces(job, program, plan, stack, rows)

    def explain(self, job: Job) -> str:
        """How many samples go into one circuit."""
        size = min(self._limits.stack_size(job.program.num_qubits, table=True), len(job.rows))
        return (
            f"{size} samples side by side in a run; the state before each layer is saved once, and "
            "rows of the table start from the first layer in which they differ"
        )

    def _stack_pieces(
        self,
        job: Job,
        program: CircuitProgram,
        plan: Plan,
        stack: Stack,
        rows: Int[np.ndarray, " b"],
    ) -> Iterator[Piece]:
        settings = job.readout.settings(program)
        unchanged = np.flatnonzero(plan.first == len(program.layers))
        starts = [int(layer) for layer in np.unique(plan.first) if layer < len(program.layers)]
        circuit = stack.begin()
        labels = self._common_run(circuit, stack, plan, starts, settings if unchanged.size else ())
        load = Load(circuit, stack.size * len(settings) * int(unchanged.size > 0))
        (saved,) = self._simulator.submit([load], **FUSION_OFF)[0]
        if unchanged.size:
            (tables,) = (read_out(stack, [saved], labels),)
            yield Piece(unchanged, rows, [np.repeat(t, unchanged.size, axis=0) for t in tables])
        per_call = self._limits.runs_per_call(stack.num_qubits)
        for start in starts:
            for part in chunks(int((plan.first == start).sum()), per_call):
                members = np.flatnonzero(plan.first == start)[part]
                state = double(saved[f"layer {start}"])
                load, labels = self._tail(stack, job.shared[members], start, state, settings)
                (runs,) = self._simulator.submit([load], **FUSION_OFF)
                yield Piece(members, rows, read_out(stack, runs, labels))

    @staticmethod
    def _common_run(
        circuit: QuantumCircuit,
        stack: Stack,
        plan: Plan,
        starts: list[int],
        settings: tuple[Setting, ...],
    ) -> list[str]:
        """The common row, with its state saved where others leave it."""
        angles = plan.common.tolist()
        for place, layer in enumerate(stack.program.layers):
            stack.add_fixed(circuit, layer)
            if place in starts:
                circuit.save_statevector(label=f"layer {place}")
            if not settings and place == starts[-1]:
                return []
            stack.add_rotations(circuit, layer, angles)
        return stack.add_readout(circuit, settings)

    @staticmethod
    def _tail(
        stack: Stack,
        table: Float64[np.ndarray, "s O"],
        start: int,
        state: np.ndarray,
        settings: tuple[Setting, ...],
    ) -> tuple[Load, list[str]]:
        """From a saved state to the readout, the angles that differ between rows as a table."""
        program = stack.program
        _, _, parameters = program.template
        varied = np.flatnonzero((table != table[0]).any(axis=0))
        angles = table[0].tolist()
        for place in varied:
            angles[place] = parameters[int(place)]
        circuit = stack.begin(state)
        stack.add_rotations(circuit, program.layers[start], angles)
        for layer in program.layers[start + 1 :]:
            stack.add_fixed(circuit, layer)
            stack.add_rotations(circuit, layer, angles)
        labels = stack.add_readout(circuit, settings)
        binds = {parameters[int(place)]: table[:, place].tolist() for place in varied}
        return Load(circuit, stack.size * len(settings), binds or None), labels


def plan_of(program: CircuitProgram, table: Float64[np.ndarray, "S O"]) -> Plan:
    """Find the common row and where the others leave it."""
    common = table[0].copy()
    first = np.full(len(table), len(program.layers))
    for place in reversed(range(len(program.layers))):
        columns = [r.angle for r in program.layers[place].rotations if not r.per_sample]
        kinds, kind, counts = np.unique(
            table[:, columns], axis=0, return_inverse=True, return_counts=True
        )
        most = counts.argmax()
        common[columns] = kinds[most]
        first[kind.ravel() != most] = place
    return Plan(common, first)
