"""Rows of a table that begin alike share their beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import RunRequest, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.aer.strategies.stacked import layered_stack, run_stack, side_by_side
from hybridopt.execution.job import Job, Shared
from hybridopt.execution.random_stream import Sampler


class Checkpoints(Strategy):
    """The common row is run once and its state saved before each layer; others start from there.

    For the table of a shift rule, in which each row moves one angle, that is half of the work.
    """

    name = "checkpoints"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack; in each the common row first, then layer by layer."""
        common, first = common_row(circuit_program(job), job.shared)
        for rows in chunks(len(job.rows), self.stack_size(job)):
            yield from self._stack_parts(job, common, first, rows)

    def explain(self, job: Job) -> str:
        """Return how many samples go into one circuit."""
        return (
            f"{side_by_side(self.stack_size(job))}; the state before each layer is saved once, and "
            "rows of the table start from the first layer in which they differ"
        )

    def _stack_parts(
        self,
        job: Job,
        common: Float64[np.ndarray, " O"],
        first: Int[np.ndarray, " S"],
        rows: Int[np.ndarray, " b"],
    ) -> Iterator[PartialResult]:
        program = circuit_program(job)
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        bits = Stack.bits_for(len(samples))
        unchanged = np.flatnonzero(first == len(program.layers))
        starts = [place for place in range(len(program.layers)) if place in first]
        at_once = self.limits.states_at_once(program.num_qubits + bits)
        for number in range(0, max(1, len(starts)), at_once):
            some = tuple(starts[number : number + at_once])
            read = () if number or not unchanged.size else settings
            stack = layered_stack(program, (bits, 0), read, saves=some)
            stack.fill(samples, common[None])
            request = RunRequest(
                stack.circuit,
                len(samples) * len(stack.labels) * unchanged.size,
                stack.binds(samples, common[None]) or None,
            )
            ((saved,),) = self.simulator.submit([request], **small_or_large(stack.num_qubits))
            if stack.labels:
                tables = [stack.split(as_double(saved[t]), len(samples)) for t in stack.labels]
                repeated = [np.repeat(table, unchanged.size, 0) for table in tables]
                yield PartialResult(unchanged, rows, repeated)
            yield from self._tails(job, first, rows, {s: saved[f"layer {s}"] for s in some})

    def _tails(
        self,
        job: Job,
        first: Int[np.ndarray, " S"],
        rows: Int[np.ndarray, " b"],
        states: Mapping[int, object],
    ) -> Iterator[PartialResult]:
        """Run from the saved states on."""
        program = circuit_program(job)
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        for start, saved in states.items():
            members = np.flatnonzero(first == start)
            bits = Stack.bits_for(len(samples)), 0
            tail = layered_stack(program, bits, settings, start)
            state = as_double(saved)
            size = self.limits.runs_per_call(tail.num_qubits, len(settings))
            for part in chunks(len(members), size):
                table = job.shared[members[part]]
                tables = run_stack(self.simulator, tail, samples, table, settings, state)
                yield PartialResult(members[part], rows, tables)


def common_row(
    program: CircuitProgram, table: Shared
) -> tuple[Float64[np.ndarray, " O"], Int[np.ndarray, " S"]]:
    """Return the most frequent angles of each layer, and the layer in which each row leaves them.

    A row that never leaves them has the number of layers.
    """
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
    return common, first
