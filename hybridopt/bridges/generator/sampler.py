"""Shots of the generator's circuit without a circuit: what its twin reads."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from hybridopt import _validation
from hybridopt.bridges.generator.statevector import ladder_probabilities
from hybridopt.circuits.program import Program
from hybridopt.execution import Cost, Executor, Job, Readout, Stream
from hybridopt.execution.random_stream import RandomStream, Sampler

BYTES_AT_ONCE = 1 << 26  # of matrices and states
BYTES_PER_ANGLE = 1024  # measured: matrices of four qubits and what makes them


class LadderSampler(RandomStream, Executor):
    """An executor that simulates `ry_ladder` densely and samples it; it runs and counts nothing.

    The sampling streams are those of `AerExecutor`: the same seed draws the same shots.

    Args:
        shots: Shots a setting of the circuit that it stands in for; None is exact.
        seed: Of the sampling streams; None draws fresh entropy.
    """

    usage = Cost()  # never a setting, a shot or a run
    has_noise = False

    def __init__(self, shots: int | None = None, seed: int | None = None) -> None:
        self.shots = _validation.optional_integer("shots", shots, minimum=1)
        super().__init__(seed)

    def check(self, program: Program, readout: Readout) -> None:
        """Whatever the ladder, it is simulated."""

    def run(self, job: Job) -> Float64[np.ndarray, "S 1 N"]:
        """Probabilities of all outcomes, or frequencies with their law."""
        num_qubits, (tables, angles) = job.program.num_qubits, job.shared.shape
        result = np.empty((tables, 1, 1 << num_qubits))
        sampler = Sampler(self._entropy, job.stream or Stream(self._next_call()))
        size = max(1, BYTES_AT_ONCE // (BYTES_PER_ANGLE * angles + (32 << num_qubits)))
        for first in range(0, tables, size):
            part = np.arange(first, min(first + size, tables))
            with torch.no_grad():
                exact = ladder_probabilities(torch.from_numpy(job.shared[part]), num_qubits)
            values = exact.numpy()[:, None]
            if self.shots is not None:
                values = sampler.frequencies(values, self.shots, part, np.arange(1), 0)
            result[part] = values
        return result

    def explain(self, job: Job) -> str:
        """That nothing is run."""
        return "Dense algebra in torch: no circuit is run."
