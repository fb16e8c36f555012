"""The generator's circuit by dense algebra in torch: its closed form, and samples of it."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.bridges.base import FormulaStream
from hybridopt.circuits.program import Program
from hybridopt.execution import Executor, Job, Readout, Stream
from hybridopt.execution.random_stream import Sampler

LARGEST_GROUP = 4  # qubits: of 3 to 6 the one that took least time with a gradient, m = 11 and 17
BYTES_AT_ONCE = 1 << 26  # of matrices and states
BYTES_PER_ANGLE = 1024  # measured: matrices of four qubits and what makes them


def ladder_probabilities(angles: Float64[Tensor, "S P"], num_qubits: int) -> Float64[Tensor, "S N"]:
    r"""Probabilities of all outcomes of `ry_ladder`, differentiable by torch.

    A layer of RY is a Kronecker product of rotations,
    :math:`R(t) = [[\cos\frac t2, -\sin\frac t2], [\sin\frac t2, \cos\frac t2]]`, taken in groups of
    at most four qubits; the ladder is a permutation,
    :math:`\psi'_k = \psi_{k \oplus 2k \bmod N}`.
    Memory: for each row 64 numbers an angle and, with a gradient, ``2^m`` a layer and group.
    """
    tables, size = len(angles), 1 << num_qubits
    groups = [_group_matrices(turns).unbind(1) for turns in _turns(angles, num_qubits)]
    order = _ladder_order(num_qubits, angles.device)
    state = angles.new_zeros(tables, size)
    state[:, 0] = 1.0
    for layer in zip(*groups, strict=True):
        right = 1
        for matrices in layer:
            width = matrices.shape[-1]
            if right == 1:  # one product, not a vector for each block
                moved = state.view(tables, -1, width) @ matrices.mT
            else:
                moved = matrices[:, None] @ state.view(tables, -1, width, right)
            state = moved.reshape(tables, size)
            right *= width
        state = state[:, order]
    return state.square()


def _turns(angles: Tensor, num_qubits: int) -> list[Float64[Tensor, "S layers qubits"]]:
    """The angles of each group of qubits, layer by layer; what is left of the last layer is 0."""
    layers = math.ceil(angles.shape[1] / num_qubits)
    missing = layers * num_qubits - angles.shape[1]
    padded = torch.nn.functional.pad(angles, (0, missing)).view(len(angles), layers, num_qubits)
    size = math.ceil(num_qubits / math.ceil(num_qubits / LARGEST_GROUP))
    return [padded[:, :, first : first + size] for first in range(0, num_qubits, size)]


def _group_matrices(turns: Float64[Tensor, "S layers qubits"]) -> Float64[Tensor, "S layers d d"]:
    """Kronecker products of the rotations, the first qubit the least significant."""
    cos, sin = torch.cos(turns / 2), torch.sin(turns / 2)
    rotations = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    product = rotations[:, :, 0]
    for qubit in range(1, turns.shape[2]):
        width = 2 * product.shape[-1]
        outer = torch.einsum("slab,slcd->slacbd", rotations[:, :, qubit], product)
        product = outer.reshape(*turns.shape[:2], width, width)
    return product


def _ladder_order(num_qubits: int, device: torch.device) -> Int64[Tensor, " N"]:
    """Where the ladder takes each amplitude from."""
    places = torch.arange(1 << num_qubits, device=device)
    return (places ^ (places << 1)) & ((1 << num_qubits) - 1)


class LadderSampler(FormulaStream, Executor):
    """An executor that simulates `ry_ladder` densely; its shots are those of `AerExecutor`."""

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
