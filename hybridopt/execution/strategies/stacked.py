"""Many samples in one circuit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.execution.job import Job
from hybridopt.execution.limits import Limits
from hybridopt.execution.sampling import Sampler
from hybridopt.execution.simulator import Load, Simulator, double
from hybridopt.execution.stack import Stack
from hybridopt.execution.strategies.piece import Piece, chunks

FUSION_OFF = {"fusion_enable": False}  # measured: fused matrices cost more than these gates


class Stacked:
    """Samples side by side in one state; several rows of shared angles as Aer's table.

    Args:
        simulator: Runs the circuits.
        limits: Size of the pieces.
    """

    name = "stacked"

    def __init__(self, simulator: Simulator, limits: Limits) -> None:
        self._simulator = simulator
        self._limits = limits

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """Stack by stack, table by table."""
        program = job.program
        assert isinstance(program, CircuitProgram)
        settings = job.readout.settings(program)
        _, _, parameters = program.template
        for rows in chunks(len(job.rows), self._stack_size(job)):
            stack = Stack(program, job.rows[rows])
            for part in chunks(len(job.shared), self._limits.runs_per_call(stack.num_qubits)):
                table = job.shared[part]
                angles = table[0].tolist() if len(table) == 1 else list(parameters)
                circuit = stack.begin()
                for layer in program.layers:
                    stack.add_fixed(circuit, layer)
                    stack.add_rotations(circuit, layer, angles)
                labels = stack.add_readout(circuit, settings)
                binds = (
                    None
                    if len(table) == 1
                    else dict(zip(parameters, table.T.tolist(), strict=True))
                )
                load = Load(circuit, stack.size * len(settings), binds)
                (runs,) = self._simulator.submit([load], **FUSION_OFF)
                yield Piece(part, rows, read_out(stack, runs, labels))

    def explain(self, job: Job) -> str:
        """How many samples go into one circuit."""
        size = min(self._stack_size(job), len(job.rows))
        return f"{size} samples side by side in a run, sharing every gate without a sample's angle"

    def _stack_size(self, job: Job) -> int:
        return self._limits.stack_size(job.program.num_qubits, table=len(job.shared) > 1)


def read_out(stack: Stack, runs: list[dict[str, object]], labels: list[str]) -> list[np.ndarray]:
    """Shape (runs, samples, outcomes) for each label."""
    return [np.stack([stack.split(double(run[label])) for run in runs]) for label in labels]
