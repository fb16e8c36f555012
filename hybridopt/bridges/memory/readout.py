r"""Readout of cosines from the memory circuit, from its gate chain with noise, or from the formula.

Without noise, a shift of one angle by :math:`-\pi/2` shifts every :math:`\theta_k`, and place k
depends on :math:`\theta_k` only. Gate noise breaks both. A Pauli error flips the signs of the later
rotations, and a damped index qubit moves them to another place. Place k then reads a mixture of
:math:`\cos(\sum_j \sigma_j \hat\theta_j)` with signs that are not a Walsh row. (Only errors that
destroy the data qubit, as in joint depolarizing, leave :math:`\eta \cos\theta_k`.) Each angle of
the chain enters one RY, so a shift of one angle at a time is exact if noise does not depend on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.bridges.base import FormulaStream
from hybridopt.bridges.memory.autograd import Read, walsh_transform
from hybridopt.bridges.memory.circuit import (
    MemoryProgram,
    chain_program,
    index_qubits,
    split_probabilities,
)
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, Job, Metered, Probabilities, Result
from hybridopt.execution.result import checked_result, received
from hybridopt.gradients import ParameterShift
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.nn.output_errors import OutputErrors


@dataclass(frozen=True, eq=False)
class CircuitReader:
    """Readout of M cosines from one run of the memory circuit."""

    program: MemoryProgram
    executor: Executor
    gradient: ParameterShift
    errors: OutputErrors | None = None  # record of the variances of the outcomes

    def read(self, theta: Float64[np.ndarray, " M"], order: int) -> Float64[np.ndarray, " M"]:
        """Return cos(theta - order pi/2) from one setting, with the executor's shots."""
        job = self._job(theta, order)
        result = checked_result(self.executor, job, self.executor.run(job))
        return self._cosines(result, order)[: theta.size]

    def submitted(self, theta: Float64[np.ndarray, " M"]) -> Read:
        """Return a reader with the jobs of cosines and of their derivatives submitted."""
        jobs = [self._job(theta, order) for order in range(2)]
        pending = [self.executor.submit(job) for job in jobs]

        def read(angles: Float64[np.ndarray, " M"], order: int) -> Float64[np.ndarray, " M"]:
            if order >= len(jobs) or not np.array_equal(angles, theta):
                return self.read(angles, order)
            result = received(self.executor, jobs[order], pending[order])
            return self._cosines(result, order)[: theta.size]

        return read

    def explain(self) -> str:
        """Return the run of one setting in words, from the executor."""
        return self.executor.explain(self._job(np.zeros(0), 0))

    def _job(self, theta: Float64[np.ndarray, " M"], order: int) -> Job:
        shared = self.gradient.common_shift(self.padded(theta), order)[None, :]
        return Job(self.program, Probabilities(), np.zeros((1, 0)), shared)

    def _cosines(self, result: Result, order: int) -> Float64[np.ndarray, " N"]:
        if self.errors is not None and order == 0:  # later orders are derivatives
            self.errors.record(result.variances)
        return split_probabilities(result.values[0, 0])

    def padded(self, theta: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " N"]:
        """Return all N angles of the circuit; unused ones are pi/2."""
        padded = np.full(self.program.num_shared_angles, np.pi / 2)
        padded[: theta.size] = theta
        return padded


class ClosedFormSampler(FormulaStream, Metered):
    """Readout with the distribution of `CircuitReader`, without a circuit, for the twin."""

    def read(self, theta: Float64[np.ndarray, " M"], order: int) -> Float64[np.ndarray, " M"]:
        """Return cos(theta - order pi/2), or with shots an estimate as from the circuit."""
        # -sin(delta), not cos(pi/2 + delta), so that exact zeros stay exact
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
    """Readout of cosines from the gate chain; derivatives take two settings per angle."""

    num_index_qubits: int  # m; the chain holds N = 2^m cosines
    columns: tuple[int, ...] | None  # free angles of the sparse form; None for all N
    executor: Executor
    gradient: ParameterShift
    errors: OutputErrors | None = None  # record of the variances of the outcomes

    @property
    def program(self) -> CircuitProgram:
        """Gate chain."""
        return chain_program(self.num_index_qubits, self.columns)[0]

    def probabilities(
        self, delta: Float64[Tensor, " places"], known: Float64[Tensor, "S B K"] | None = None
    ) -> Float64[Tensor, "S B K"]:
        """Return the probabilities of all outcomes; ``known`` ones save the forward run."""
        program, order = chain_program(self.num_index_qubits, self.columns)
        places = 1 << self.num_index_qubits
        theta = math.pi / 2 + torch.cat([delta, delta.new_zeros(places - len(delta))])
        angles = (walsh_transform(theta) / places)[list(order)]
        pair = None if known is None else (angles[None].detach(), known)
        circuits = program, Probabilities(), self.executor
        run = CircuitEvaluation(*circuits, self.gradient, pair, errors=self.errors)
        return run(angles.new_zeros(1, 0), angles[None])

    def cosines(self, probabilities: Float64[Tensor, "S B K"]) -> Float64[Tensor, " N"]:
        """Return p(0) - p(1) of the data qubit at each place; 0 where none was measured.

        Corrected probabilities can be negative. Their ratios are limited to those of probabilities.
        """
        zero, one = probabilities.reshape(2, -1)
        total = zero + one
        measured = total > 0
        ratios = (zero - one) / torch.where(measured, total, 1.0)
        return torch.where(measured, ratios, 0.0).clamp(-1, 1)
