"""Rows of a table that begin alike share their beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Load, Simulator, double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import Piece, chunks
from hybridopt.execution.aer.strategies.stacked import run_stack
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import Setting
from hybridopt.execution.sampling import Sampler


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
        for rows in chunks(len(job.rows), self._stack_size(job)):
            yield from self._stack_pieces(job, program, plan, rows)

    def explain(self, job: Job) -> str:
        """How many samples go into one circuit."""
        size = min(self._stack_size(job), len(job.rows))
        samples = "1 sample" if size == 1 else f"{size} samples side by side"
        return (
            f"{samples} in a run; the state before each layer is saved once, and "
            "rows of the table start from the first layer in which they differ"
        )

    def _stack_size(self, job: Job) -> int:
        settings = len(job.readout.settings(job.program))
        return self._limits.stack_size(job.program.num_qubits, table=True, settings=settings)

    def _stack_pieces(
        self, job: Job, program: CircuitProgram, plan: Plan, rows: Int[np.ndarray, " b"]
    ) -> Iterator[Piece]:
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        bits = Stack.bits_for(len(samples))
        unchanged = np.flatnonzero(plan.first == len(program.layers))
        starts = [place for place in range(len(program.layers)) if place in plan.first]
        at_once = self._limits.states_at_once(program.num_qubits + bits)
        for first in range(0, max(1, len(starts)), at_once):
            some = tuple(starts[first : first + at_once])
            common = _common_run(
                program, bits, some, () if first or not unchanged.size else settings
            )
            common.fill(samples, plan.common[None])
            load = Load(
                common.circuit,
                len(samples) * len(common.labels) * unchanged.size,
                common.binds(samples, plan.common[None]) or None,
            )
            ((saved,),) = self._simulator.submit([load], **small_or_large(common.num_qubits))
            if common.labels:
                tables = [common.split(double(saved[t]), len(samples)) for t in common.labels]
                yield Piece(unchanged, rows, [np.repeat(t, unchanged.size, 0) for t in tables])
            yield from self._tails(job, program, plan, rows, {s: saved[f"layer {s}"] for s in some})

    def _tails(
        self,
        job: Job,
        program: CircuitProgram,
        plan: Plan,
        rows: Int[np.ndarray, " b"],
        states: Mapping[int, object],
    ) -> Iterator[Piece]:
        """From the saved states on."""
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        bits = Stack.bits_for(len(samples))
        for start, saved in states.items():
            members = np.flatnonzero(plan.first == start)
            tail = _tail(program, bits, start, settings)
            state = double(saved)
            size = self._limits.runs_per_call(tail.num_qubits, len(settings))
            for part in chunks(len(members), size):
                table = job.shared[members[part]]
                tables = run_stack(self._simulator, tail, samples, table, settings, state)
                yield Piece(members[part], rows, tables)


def _common_run(
    program: CircuitProgram, bits: int, starts: tuple[int, ...], settings: tuple[Setting, ...]
) -> Stack:
    """The common row, with its state saved where others leave it; built once."""

    def build() -> Stack:
        stack = Stack(program, bits)
        for place, layer in enumerate(program.layers):
            stack.add(layer.fixed)
            if place in starts:
                stack.circuit.save_statevector(label=f"layer {place}")
            if not settings and place == starts[-1]:
                break
            stack.add_rotations(layer)
        else:
            stack.add_readout(settings)
        return stack

    return program.derived(("common run", bits, starts, settings), build)


def _tail(program: CircuitProgram, bits: int, start: int, settings: tuple[Setting, ...]) -> Stack:
    """From a saved state to the readout; built once."""

    def build() -> Stack:
        stack = Stack(program, bits, from_state=True)
        stack.add_rotations(program.layers[start])
        for layer in program.layers[start + 1 :]:
            stack.add(layer.fixed)
            stack.add_rotations(layer)
        stack.add_readout(settings)
        return stack

    return program.derived(("tail", bits, start, settings), build)


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
