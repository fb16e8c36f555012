r"""Reading cosines from the memory circuit, gate by gate where gates go wrong, or by formula.

Without noise, one angle shifted by :math:`-\pi/2` shifts every :math:`\theta_k`, and the reading of
place k depends on :math:`\theta_k` alone. Noise between the gates breaks both. A Pauli error in the
middle of the chain turns the signs of the rotations behind it, a damped or flipped index qubit
sends them to another place: the reading of place k becomes a mixture of
:math:`\cos(\sum_j \sigma_j \hat\theta_j)` with signs :math:`\sigma` that are no Walsh row, and it
depends on all :math:`\theta`. (Errors that destroy the data qubit altogether, as depolarizing a
gate's qubits together does, leave :math:`\eta \cos\theta_k`; errors of readout and damping do not.)
Each angle of the chain still enters one RY, whatever stands between the gates, so that shifting
each in turn is exact for all noise that does not depend on the angles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.bridges.base import FormulaStream
from hybridopt.bridges.memory.autograd import walsh_transform
from hybridopt.bridges.memory.circuit import (
    MemoryProgram,
    chain_program,
    index_qubits,
    split_probabilities,
)
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, Job, Metered, Probabilities
from hybridopt.gradients import ParameterShift
from hybridopt.nn.evaluation import CircuitEvaluation


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


@dataclass(frozen=True)
class ChainReader:
    """Reads cosines from the gate chain; derivatives take two settings for each of its angles."""

    num_index_qubits: int  # m; the chain holds N = 2^m cosines
    columns: tuple[int, ...] | None  # angles that are free, in the sparse form; None is all N
    executor: Executor
    gradient: ParameterShift

    @property
    def program(self) -> CircuitProgram:
        """The chain."""
        return chain_program(self.num_index_qubits, self.columns)[0]

    def probabilities(
        self, delta: Float64[Tensor, " places"], known: Float64[Tensor, "S B K"] | None = None
    ) -> Float64[Tensor, "S B K"]:
        """Probabilities of all outcomes; those ``known`` at the same angles are not run again."""
        program, order = chain_program(self.num_index_qubits, self.columns)
        places = 1 << self.num_index_qubits
        theta = math.pi / 2 + torch.cat([delta, delta.new_zeros(places - len(delta))])
        angles = (walsh_transform(theta) / places)[list(order)]
        evaluation = CircuitEvaluation(
            program,
            Probabilities(),
            self.executor,
            self.gradient,
            known=None if known is None else (angles[None].detach(), known),
        )
        return evaluation(angles.new_zeros(1, 0), angles[None])

    def cosines(self, probabilities: Float64[Tensor, "S B K"]) -> Float64[Tensor, " N"]:
        """The excess of 0 over 1 of the data qubit at each place; 0 where none was measured."""
        zero, one = probabilities.reshape(2, -1)
        total = zero + one
        measured = total > 0
        ratios = (zero - one) / torch.where(measured, total, 1.0)
        return torch.where(measured, ratios, 0.0)
