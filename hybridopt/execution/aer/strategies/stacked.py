"""Strategy with many samples per run, and stacks of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Data, RunRequest, Simulator, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.aer.strategies.cut import Cut, cut
from hybridopt.execution.job import Job, Rows, Shared
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
    *,
    states: bool = False,
) -> Stack:
    """Return the stack from layer ``start``, with the states before the ``saves`` saved.

    At its end, it saves the probabilities of all settings, or with ``states`` the states. Runs of
    one call need stacks of different lanes, because a stack holds its angles.
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
        stack.add_readout(settings, states=states)
        return stack

    return program.derived(("layers", bits, settings, start, saves, lane, states), build)


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
