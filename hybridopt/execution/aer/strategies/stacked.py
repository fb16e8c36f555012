"""Many samples in one circuit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import RunRequest, Simulator, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.job import Job, Rows, Shared
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Setting

# With a table, Aer spends about 2 us on each gate of each row; below so many amplitudes that is
# more than the gate itself, and rows side by side in one run are cheaper.
QUBITS_OF_A_TINY_RUN = 10


class Stacked(Strategy):
    """Samples side by side in one state; several rows of shared angles as Aer's table."""

    name = "stacked"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack, table by table."""
        program = circuit_program(job)
        settings = job.readout.settings(program)
        for rows in chunks(len(job.rows), self.stack_size(job)):
            samples = job.rows[rows]
            sample_bits = Stack.bits_for(len(samples))
            table_bits = self._table_bits(job, sample_bits)
            stack = layered_stack(program, (sample_bits, table_bits), settings)
            size = 1 << table_bits
            if not table_bits:
                size = self.limits.runs_per_call(stack.num_qubits, len(settings))
            for part in chunks(len(job.shared), size):
                tables = run_stack(self.simulator, stack, samples, job.shared[part], settings)
                yield PartialResult(part, rows, tables)

    def explain(self, job: Job) -> str:
        """Return how many samples go into one circuit."""
        size = self.stack_size(job)
        text = f"{side_by_side(size)}, sharing every gate without a sample's angle"
        rows = 1 << self._table_bits(job, Stack.bits_for(size))
        return f"{text}, and {min(rows, len(job.shared))} rows of the table" if rows > 1 else text

    def _table_bits(self, job: Job, sample_bits: int) -> int:
        """Return the index qubits for shared rows: none unless each would make a tiny run."""
        row = job.program.num_qubits + sample_bits
        if len(job.shared) == 1 or row > QUBITS_OF_A_TINY_RUN:
            return 0
        room = self.limits.stack_size(row, table=True).bit_length() - 1
        return min(Stack.bits_for(len(job.shared)), room)


def side_by_side(size: int) -> str:
    """Return the size of a stack in words."""
    return f"{'1 sample' if size == 1 else f'{size} samples side by side'} in a run"


def layered_stack(
    program: CircuitProgram,
    bits: tuple[int, int],
    settings: tuple[Setting, ...],
    start: int | None = None,
    saves: tuple[int, ...] = (),
) -> Stack:
    """Return the stack of the layers, for so many bits of samples and rows; built once.

    It runs from the rotations of the layer ``start``, saves the states before those of ``saves``,
    and ends there if no settings are read.
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
            if not settings and place == saves[-1]:
                return stack
            stack.add_rotations(layer)
        stack.add_readout(settings)
        return stack

    return program.derived(("layers", bits, settings, start, saves), build)


def run_stack(
    simulator: Simulator,
    stack: Stack,
    rows: Rows,
    shared: Shared,
    settings: tuple[Setting, ...],
    state: Complex128[np.ndarray, " amplitudes"] | None = None,
) -> list[Float64[np.ndarray, "S B _"]]:
    """Fill a stack and run it, as a table of angles if it does not hold all rows at once."""
    stack.fill(rows, shared, state)
    binds = stack.binds(rows, shared)
    if stack.table_bits or not binds:  # one run serves all rows
        one = {parameter: values[:1] for parameter, values in binds.items()}
        request = RunRequest(stack.circuit, len(shared) * len(rows) * len(settings), one or None)
        ((saved,),) = simulator.submit([request], **small_or_large(stack.num_qubits))
        held = len(shared) if stack.table_bits else 1
        tables = [stack.split(as_double(saved[label]), len(rows), held) for label in stack.labels]
        return tables if stack.table_bits else [np.repeat(t, len(shared), 0) for t in tables]
    request = RunRequest(stack.circuit, len(rows) * len(settings), binds)
    (runs,) = simulator.submit([request], **small_or_large(stack.num_qubits, len(shared)))
    return [
        np.concatenate([stack.split(as_double(run[label]), len(rows)) for run in runs])
        for label in stack.labels
    ]
