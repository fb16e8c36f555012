"""Strategy that reads exact expectation values of many Pauli strings from saved states."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.observable_action import ObservableAction
from hybridopt.execution.aer.simulator import RunRequest, as_double, small_or_large
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, chunks, circuit_program
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import BYTES_PER_READ_STATE
from hybridopt.execution.random_stream import Sampler

STATE = "state"


class SavedStates(Strategy):
    """Strategy with samples side by side in one saved state, and one run per row of angles."""

    name = "saved-states"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run stack by stack; the strings need neither groups nor changes of basis."""
        program, readout = circuit_program(job), job.readout
        action = ObservableAction.of(program, readout, self.limits)
        for rows in chunks(len(job.rows), self.stack_size(job)):
            samples = job.rows[rows]
            stack = _stack(program, Stack.bits_for(len(samples)))
            for part in chunks(len(job.shared), self.limits.kept_states(stack.num_qubits)):
                binds = stack.fill(samples, job.shared[part])
                runs = len(next(iter(binds.values()))) if binds else 1
                cells = len(samples) * (1 if binds else len(part))
                request = RunRequest(stack.circuit, cells, binds, readout)
                options = small_or_large(stack.num_qubits, runs)
                (saved,) = self.simulator.submit([request], **options)
                blocks = 1 << stack.sample_bits
                values = [
                    action.values(
                        math.sqrt(blocks)
                        * as_double(run[STATE]).reshape(blocks, -1)[: len(samples)]
                    )
                    for run in saved
                ]
                shape = (len(part), len(rows), values[0].shape[-1])
                yield PartialResult(part, rows, values=np.broadcast_to(np.stack(values), shape))

    def stack_size(self, job: Job) -> int:
        """Return the number of samples per run."""
        table = len(job.shared) > 1
        size = self.limits.stack_size(
            job.program.num_qubits, table=table, bytes_each=BYTES_PER_READ_STATE
        )
        return min(size, len(job.rows))

    def explain(self, job: Job) -> str:
        """Return the size of a stack in words."""
        size = self.stack_size(job)
        return f"{size} sample{'' if size == 1 else 's'} per run, values from the saved states"


def _stack(program: CircuitProgram, sample_bits: int) -> Stack:
    """Return the stack that saves its final state."""

    def build() -> Stack:
        stack = Stack(program, sample_bits)
        for layer in program.layers:
            stack.add(layer.fixed)
            stack.add_rotations(layer)
        stack.circuit.save_statevector(label=STATE)
        return stack

    return program.derived(("saved states", sample_bits), build)
