"""Reading cosines from the memory circuit, and from its closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hybridopt.bridges.base import FormulaStream
from hybridopt.bridges.memory.circuit import MemoryProgram, index_qubits, split_probabilities
from hybridopt.execution import Executor, Job, Metered, Probabilities
from hybridopt.gradients import ParameterShift


@dataclass(frozen=True, eq=False)
class CircuitReader:
    """Reads M cosines from one run of the memory circuit; unused places hold the angle pi/2."""

    program: MemoryProgram
    executor: Executor
    gradient: ParameterShift

    def read(self, theta: Float64[np.ndarray, " M"], order: int) -> Float64[np.ndarray, " M"]:
        """One setting: cos(theta - order pi/2), with the executor's shots."""
        padded = self.padded(theta)
        shared = self.gradient.common_shift(padded, order)[None, :]
        job = Job(self.program, Probabilities(), np.zeros((1, 0)), shared)
        return split_probabilities(self.executor.run(job)[0, 0])[: theta.size]

    def padded(self, theta: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " N"]:
        """All N angles of the circuit."""
        padded = np.full(self.program.num_shared_angles, np.pi / 2)
        padded[: theta.size] = theta
        return padded


class ClosedFormSampler(FormulaStream, Metered):
    """The law of `CircuitReader` without a circuit: what the twin reads."""

    def read(self, theta: Float64[np.ndarray, " M"], order: int) -> Float64[np.ndarray, " M"]:
        """cos(theta - order pi/2), or an estimate with the distribution of the circuit's."""
        # -sin(delta), not cos(pi/2 + delta): exact zeros stay exact
        delta = theta - np.pi / 2
        cosines = (-np.sin(delta), np.cos(delta), np.sin(delta), -np.cos(delta))[order % 4]
        if self.shots is None:
            return cosines
        generator = self._next_generator()
        places = 1 << index_qubits(theta.size)
        measured = generator.multinomial(self.shots, np.full(places, 1 / places))[: theta.size]
        zeros = generator.binomial(measured, np.clip((1 + cosines) / 2, 0, 1))
        estimates: Float64[np.ndarray, " M"] = np.divide(
            2.0 * zeros - measured, measured, out=np.zeros(theta.size), where=measured > 0
        )
        return estimates
