"""Strategy with shared beginnings of circuits, and with sums of final states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64, Int

from hybridopt.circuits.program import CircuitProgram, SharedRow
from hybridopt.execution.aer.marginals import marginal
from hybridopt.execution.aer.simulator import Data, RunRequest, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.aer.strategies.interpolation import (
    Interpolation,
    States,
    layers_of_angles,
)
from hybridopt.execution.aer.strategies.stacked import layered_stack, run_stack, stack_in_words
from hybridopt.execution.job import Job, Shared
from hybridopt.execution.memory_budget import (
    BYTES_PER_CHECKPOINT_AMPLITUDE,
    BYTES_PER_INTERPOLATED_AMPLITUDE,
)
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Setting

AMPLITUDES_OF_A_SUM = 1 << 16  # numpy adds states in the cache


class Checkpoints(Strategy):
    """Strategy that saves the states of a common row, from which other rows start.

    Rows that differ in one angle are sums of the final states of the common row and fewer runs.
    """

    name = "checkpoints"

    def stack_size(self, job: Job) -> int:
        """Return the number of samples per run."""
        return self._stack_size(job, self._plan(job))

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack: first the common row, then the others by their first layer."""
        plan = self._plan(job)
        for rows in chunks(len(job.rows), self._stack_size(job, plan)):
            yield from self._stack_parts(job, plan, rows)

    def explain(self, job: Job) -> str:
        """Return the size of a stack in words."""
        plan = self._plan(job)
        size = stack_in_words(self._stack_size(job, plan))
        text = f"{size}; rows start from the saved state before their first different layer"
        return f"{text}{plan.sums.explain()}"

    def _plan(self, job: Job) -> _Plan:
        program = circuit_program(job)
        common, first = common_row(program, job.shared)
        needed = _bytes_per_amplitude(job.readout.num_settings) << program.num_qubits
        fits = needed <= self.limits.max_memory // 2
        table = job.shared if fits else job.shared[:0]
        return _Plan(common, first, Interpolation.of(program, table, common))

    def _stack_size(self, job: Job, plan: _Plan) -> int:
        settings = job.readout.num_settings if plan.sums.members.size else 0
        each = _bytes_per_amplitude(settings)
        size = self.limits.stack_size(job.program.num_qubits, table=True, bytes_each=each)
        return min(size, super().stack_size(job))

    def _stack_parts(
        self, job: Job, plan: _Plan, rows: Int[np.ndarray, " b"]
    ) -> Iterator[PartialResult]:
        program = circuit_program(job)
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        bits = Stack.bits_for(len(samples))
        layers = len(program.layers)
        unchanged = np.flatnonzero(plan.first == layers)
        summed = plan.sums.members
        starts = [place for place in range(layers) if place in plan.first]
        at_once = self.limits.states_at_once(program.num_qubits + bits)
        ends: list[States] = []  # of the common row, in the basis of each setting
        for number in range(0, max(1, len(starts)), at_once):
            some = tuple(starts[number : number + at_once])
            read = () if number or not (unchanged.size or summed.size) else settings
            stack = layered_stack(program, (bits, 0), read, saves=some, states=summed.size > 0)
            binds = stack.fill(samples, plan.common[None])
            # settings of sums are counted here, as no run of theirs has a setting of its own
            count = len(samples) * len(stack.labels) * (unchanged.size + summed.size)
            request = RunRequest(stack.circuit, count, binds)
            ((saved,),) = self.simulator.submit([request], **small_or_large(stack.num_qubits))
            if stack.labels and summed.size:
                ends = [_states(stack, [saved], label, len(samples)) for label in stack.labels]
            if stack.labels and unchanged.size:
                tables = [
                    _probabilities(program, setting, end.copy(), len(samples))
                    for setting, end in zip(settings, ends, strict=False)
                ] or [stack.split(as_double(saved[t]), len(samples)) for t in stack.labels]
                repeated = [np.repeat(table, unchanged.size, 0) for table in tables]
                yield PartialResult(unchanged, rows, repeated)
            for start in some:
                state = as_double(saved[f"layer {start}"])
                others = plan.first == start
                others[summed] = False
                yield from self._tails(job, np.flatnonzero(others), start, rows, state)
                members = np.flatnonzero(plan.first[summed] == start)
                yield from self._sums(job, plan.sums, members, start, rows, state, ends)

    def _tails(
        self,
        job: Job,
        members: Int[np.ndarray, " s"],
        start: int,
        rows: Int[np.ndarray, " b"],
        state: Complex128[np.ndarray, " amplitudes"],
    ) -> Iterator[PartialResult]:
        """Run the rest of the circuits from the saved state, for rows without a sum."""
        if not members.size:
            return
        program = circuit_program(job)
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        bits = Stack.bits_for(len(samples)), 0
        tail = layered_stack(program, bits, settings, start)
        size = self.limits.runs_per_call(tail.num_qubits, len(settings))
        for part in chunks(len(members), size):
            table = job.shared[members[part]]
            tables = run_stack(self.simulator, tail, samples, table, settings, state)
            yield PartialResult(members[part], rows, tables)

    def _sums(
        self,
        job: Job,
        sums: Interpolation,
        members: Int[np.ndarray, " s"],
        start: int,
        rows: Int[np.ndarray, " b"],
        state: Complex128[np.ndarray, " amplitudes"],
        ends: list[States],
    ) -> Iterator[PartialResult]:
        """Run the rest of the circuits whose states give those of several members as sums."""
        if not members.size:
            return
        program, count = circuit_program(job), len(rows)
        settings = job.readout.settings(program)
        tail = layered_stack(program, (Stack.bits_for(count), 0), settings, start, states=True)
        size = self.limits.interpolated_rows(tail.num_qubits, len(settings))
        for part in sums.parts(members, size):
            which = np.unique(sums.sources[part])
            binds = tail.fill(job.rows[rows], sums.runs[which], state)
            options = small_or_large(tail.num_qubits, len(which))
            (runs,) = self.simulator.submit([RunRequest(tail.circuit, 0, binds)], **options)
            for some in np.array_split(part, -(-len(part) // size)):
                tables = []
                for setting, label, end in zip(settings, tail.labels, ends, strict=True):
                    ran = _states(tail, runs, label, count)
                    few = max(1, AMPLITUDES_OF_A_SUM // ran.shape[1])
                    states = (sums.states(some[i], end, ran, which) for i in chunks(len(some), few))
                    found = [_probabilities(program, setting, one, count) for one in states]
                    tables.append(np.concatenate(found))
                yield PartialResult(sums.members[some], rows, tables)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Common row of a table, and the ways to the other rows."""

    common: SharedRow
    first: Int[np.ndarray, " S"]  # first layer in which a row differs
    sums: Interpolation


def _bytes_per_amplitude(settings: int) -> int:
    """Return the memory of a run from a saved state, with sums of states of some settings."""
    return BYTES_PER_CHECKPOINT_AMPLITUDE + BYTES_PER_INTERPOLATED_AMPLITUDE * settings


def _states(stack: Stack, runs: Sequence[Data], label: str, samples: int) -> States:
    """Return the states of all samples under a label, one row per run, each of norm 1."""
    blocks = 1 << stack.sample_bits
    states = [as_double(run[label]).reshape(blocks, -1)[:samples].ravel() for run in runs]
    return math.sqrt(blocks) * np.stack(states)


def _probabilities(
    program: CircuitProgram, setting: Setting, states: States, samples: int
) -> Float64[np.ndarray, "s b _"]:
    """Return the probabilities of the qubits of a setting; overwrite the states."""
    parts = states.view(np.float64)
    parts *= parts
    whole = (parts[:, ::2] + parts[:, 1::2]).reshape(-1, 1 << program.num_qubits)
    return marginal(whole, setting.qubits).reshape(len(states), samples, -1)


def common_row(program: CircuitProgram, table: Shared) -> tuple[SharedRow, Int[np.ndarray, " S"]]:
    """Return a row that many rows begin with, and the first other layer of each row.

    It has the angles of more than half of the rows, as in tables of shifts. Without such
    angles, it has the most frequent ones of each layer.
    """
    end, layers = len(program.layers), layers_of_angles(program)
    common = np.sort(table, axis=0)[len(table) // 2]
    if not (2 * np.count_nonzero(table == common, axis=0) > len(table)).all():
        for place in range(end):
            columns = np.flatnonzero(layers == place)
            kinds, counts = np.unique(table[:, columns], axis=0, return_counts=True)
            common[columns] = kinds[counts.argmax()]
    first = np.where(table != common, layers, end).min(axis=1, initial=end)
    return common, first


def saves_runs(program: CircuitProgram, table: Shared) -> bool:
    """Return True if the states of many rows are sums, as in tables of shifts."""
    sums = Interpolation.of(program, table, common_row(program, table)[0])
    return 4 * (len(sums.members) - len(sums.runs)) >= len(table)
