"""Strategies with many samples per run, and with shared beginnings of circuits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Complex128, Float64, Int

from hybridopt.circuits.program import CircuitProgram, SharedRow
from hybridopt.execution.aer.simulator import Data, RunRequest, Simulator, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.aer.strategies.cut import Cut, cut
from hybridopt.execution.job import Job, Rows, Shared
from hybridopt.execution.memory_budget import BYTES_PER_CHECKPOINT_AMPLITUDE
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Setting


class Stacked(Strategy):
    """Strategy with samples side by side in one state, and rows of shared angles in a table."""

    name = "stacked"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack and table by table, several per call if cores are free."""
        program, found = circuit_program(job), self._cut(job)
        settings = job.readout.settings(program)
        bits = Stack.bits_for(min(found.samples, len(job.rows))), found.table_bits
        per_call = self.limits.runs_per_call(program.num_qubits + sum(bits), len(settings))
        size = 1 << found.table_bits if found.table_bits else per_call
        pieces = [
            (part, rows)
            for rows in chunks(len(job.rows), found.samples)
            for part in chunks(len(job.shared), size)
        ]
        runs = 1 if found.table_bits else min(size, len(job.shared))
        for call in chunks(len(pieces), max(1, min(found.stacks, per_call // runs))):
            loads = []
            for lane, (part, rows) in enumerate(pieces[number] for number in call):
                bits = Stack.bits_for(len(rows)), found.table_bits
                stack = layered_stack(program, bits, settings, lane=lane)
                loads.append((stack, job.rows[rows], job.shared[part]))
            results = run_stacks(self.simulator, loads, settings)
            for number, tables in zip(call, results, strict=True):
                part, rows = pieces[number]
                yield PartialResult(part, rows, tables)

    def explain(self, job: Job) -> str:
        """Return the size of a stack in words."""
        found = self._cut(job)
        size = min(found.samples, len(job.rows))
        text = f"{stack_in_words(size)}, with shared gates for shared angles"
        rows = min(1 << found.table_bits, len(job.shared))
        text = f"{text}, and {rows} sets of shared angles" if rows > 1 else text
        return f"{text}; up to {found.stacks} runs at the same time" if found.stacks > 1 else text

    def _cut(self, job: Job) -> Cut:
        shape, num_qubits = (len(job.shared), len(job.rows)), job.program.num_qubits
        cores = self.simulator.parallel_runs
        return cut(shape, num_qubits, job.readout.num_settings, self.limits, cores)


def stack_in_words(size: int) -> str:
    """Return the size of a stack in words."""
    return f"{'1 sample' if size == 1 else f'{size} samples side by side'} per run"


def layered_stack(
    program: CircuitProgram,
    bits: tuple[int, int],
    settings: tuple[Setting, ...],
    start: int | None = None,
    saves: tuple[int, ...] = (),
    lane: int = 0,
) -> Stack:
    """Return the stack from layer ``start``, with the states before the ``saves`` saved.

    Runs of one call need stacks of different lanes, because a stack holds its angles.
    """

    def build() -> Stack:
        stack = Stack(program, *bits, from_state=start is not None)
        for place, layer in enumerate(program.layers):
            if place < (start or 0):
                continue
            if place != start:
                stack.add(layer.fixed)
            if place in saves:
                stack.circuit.save_statevector(label=f"layer {place}")
            if not settings and place == saves[-1]:  # nothing is read after the last save
                return stack
            stack.add_rotations(layer)
        stack.add_readout(settings)
        return stack

    return program.derived(("layers", bits, settings, start, saves, lane), build)


Load = tuple[Stack, Rows, Shared]  # stack, its samples and rows of shared angles
Tables = list[Float64[np.ndarray, "S B _"]]  # one per setting


def run_stack(
    simulator: Simulator,
    stack: Stack,
    rows: Rows,
    shared: Shared,
    settings: tuple[Setting, ...],
    state: Complex128[np.ndarray, " amplitudes"] | None = None,
) -> Tables:
    """Fill a stack and run it, with a table of angles if it does not hold all rows."""
    return run_stacks(simulator, [(stack, rows, shared)], settings, state)[0]


def run_stacks(
    simulator: Simulator,
    loads: Sequence[Load],
    settings: tuple[Setting, ...],
    state: Complex128[np.ndarray, " amplitudes"] | None = None,
) -> list[Tables]:
    """Fill different stacks and run them in one call."""
    requests = []
    for stack, rows, shared in loads:
        binds = stack.fill(rows, shared, state)
        count = len(rows) * len(settings)
        if stack.table_bits or not binds:  # one run serves all rows
            count *= len(shared)
            binds = {parameter: values[:1] for parameter, values in binds.items()}
        requests.append(RunRequest(stack.circuit, count, binds))
    widest = max(stack.num_qubits for stack, *_ in loads)
    total = sum(request.runs for request in requests)
    options = {"max_parallel_experiments": len(loads), **small_or_large(widest, total)}
    results = simulator.submit(requests, **options)
    return [_tables(load, runs) for load, runs in zip(loads, results, strict=True)]


def _tables(load: Load, runs: Sequence[Data]) -> Tables:
    """Return the probabilities of each setting, for all rows and samples of a stack."""
    stack, rows, shared = load
    held = min(len(shared), 1 << stack.table_bits)
    tables = [
        np.concatenate([stack.split(as_double(run[label]), len(rows), held) for run in runs])
        for label in stack.labels
    ]
    return [np.repeat(t, len(shared) // len(t), 0) for t in tables]


States = Mapping[int, object]  # as saved, by layer


class Checkpoints(Strategy):
    """Strategy that saves the states of a common row, from which other rows start."""

    name = "checkpoints"

    def stack_size(self, job: Job) -> int:
        """Return the number of samples per run."""
        each = BYTES_PER_CHECKPOINT_AMPLITUDE
        size = self.limits.stack_size(job.program.num_qubits, table=True, bytes_each=each)
        return min(size, super().stack_size(job))

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack: first the common row, then the others by their first layer."""
        common, first = common_row(circuit_program(job), job.shared)
        for rows in chunks(len(job.rows), self.stack_size(job)):
            yield from self._stack_parts(job, common, first, rows)

    def explain(self, job: Job) -> str:
        """Return the size of a stack in words."""
        size = stack_in_words(self.stack_size(job))
        return f"{size}; rows start from the saved state before their first different layer"

    def _stack_parts(
        self, job: Job, common: SharedRow, first: Int[np.ndarray, " S"], rows: Int[np.ndarray, " b"]
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
            binds = stack.fill(samples, common[None])
            count = len(samples) * len(stack.labels) * unchanged.size
            request = RunRequest(stack.circuit, count, binds)
            ((saved,),) = self.simulator.submit([request], **small_or_large(stack.num_qubits))
            if stack.labels:
                tables = [stack.split(as_double(saved[t]), len(samples)) for t in stack.labels]
                repeated = [np.repeat(table, unchanged.size, 0) for table in tables]
                yield PartialResult(unchanged, rows, repeated)
            yield from self._tails(job, first, rows, {s: saved[f"layer {s}"] for s in some})

    def _tails(
        self, job: Job, first: Int[np.ndarray, " S"], rows: Int[np.ndarray, " b"], kept: States
    ) -> Iterator[PartialResult]:
        """Run the rest of the circuits from the saved states."""
        program = circuit_program(job)
        settings = job.readout.settings(program)
        samples = job.rows[rows]
        for start, saved in kept.items():
            members = np.flatnonzero(first == start)
            bits = Stack.bits_for(len(samples)), 0
            tail = layered_stack(program, bits, settings, start)
            state = as_double(saved)
            size = self.limits.runs_per_call(tail.num_qubits, len(settings))
            for part in chunks(len(members), size):
                table = job.shared[members[part]]
                tables = run_stack(self.simulator, tail, samples, table, settings, state)
                yield PartialResult(members[part], rows, tables)


def common_row(program: CircuitProgram, table: Shared) -> tuple[SharedRow, Int[np.ndarray, " S"]]:
    """Return the most frequent angles of each layer, and the first other layer of each row."""
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
