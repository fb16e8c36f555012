"""Dense simulation of the generator's circuit in torch, and samples of its outcomes."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.bridges.base import FormulaStream
from hybridopt.circuits.program import Program
from hybridopt.execution import Executor, Job, Readout, Result, Stream
from hybridopt.execution.random_stream import Sampler

LARGEST_GROUP = 4  # qubits; the fastest of 3 to 6 with a gradient, at m = 11 and 17
BYTES_AT_ONCE = 1 << 26  # of matrices and states
BYTES_PER_ANGLE = 1024  # measured; matrices of four qubits and their intermediates


def ladder_probabilities(angles: Float64[Tensor, "S P"], num_qubits: int) -> Float64[Tensor, "S N"]:
    r"""Return the probabilities of all outcomes of `ry_ladder`, differentiable.

    A layer of RY is a Kronecker product of rotations,
    :math:`R(t) = [[\cos\frac t2, -\sin\frac t2], [\sin\frac t2, \cos\frac t2]]`, applied in groups
    of at most four qubits. The ladder is a permutation,
    :math:`\psi'_k = \psi_{k \oplus 2k \bmod N}`. Memory per row: 64 numbers per angle and, with a
    gradient, ``2^m`` per layer and group.
    """
    tables, size = len(angles), 1 << num_qubits
    groups = [_group_matrices(part).unbind(1) for part in _by_group(angles, num_qubits)]
    order = _ladder_order(num_qubits, angles.device)
    state = angles.new_zeros(tables, size)
    state[:, 0] = 1.0
    for layer in zip(*groups, strict=True):
        right = 1
        for matrices in layer:
            width = matrices.shape[-1]
            if right == 1:  # one matrix product instead of one vector per block
                moved = state.view(tables, -1, width) @ matrices.mT
            else:
                moved = matrices[:, None] @ state.view(tables, -1, width, right)
            state = moved.reshape(tables, size)
            right *= width
        state = state[:, order]
    return state.square()


def _by_group(angles: Tensor, num_qubits: int) -> list[Float64[Tensor, "S layers qubits"]]:
    """Return the angles by group of qubits and layer; the last layer is filled with zeros."""
    layers = math.ceil(angles.shape[1] / num_qubits)
    missing = layers * num_qubits - angles.shape[1]
    padded = torch.nn.functional.pad(angles, (0, missing)).view(len(angles), layers, num_qubits)
    size = math.ceil(num_qubits / math.ceil(num_qubits / LARGEST_GROUP))
    return list(torch.split(padded, size, dim=2))


def _group_matrices(angles: Float64[Tensor, "S layers qubits"]) -> Float64[Tensor, "S layers d d"]:
    """Return Kronecker products of the rotations, the first qubit the least significant."""
    cos, sin = torch.cos(angles / 2), torch.sin(angles / 2)
    rotations = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    product = rotations[:, :, 0]
    for qubit in range(1, angles.shape[2]):
        width = 2 * product.shape[-1]
        outer = torch.einsum("slab,slcd->slacbd", rotations[:, :, qubit], product)
        product = outer.reshape(*angles.shape[:2], width, width)
    return product


def _ladder_order(num_qubits: int, device: torch.device) -> Int64[Tensor, " N"]:
    """Return the source position of each amplitude."""
    places = torch.arange(1 << num_qubits, device=device)
    return (places ^ (places << 1)) & ((1 << num_qubits) - 1)


class LadderSampler(FormulaStream, Executor):
    """Executor that simulates `ry_ladder` densely, with the same shots as `AerExecutor`."""

    def check(self, program: Program, readout: Readout) -> None:
        """Accept every ladder."""

    def run(self, job: Job) -> Result:
        """Return the probabilities of all outcomes, or with shots their frequencies."""
        num_qubits, (tables, angles) = job.program.num_qubits, job.shared.shape
        shots = job.shots_for(self.shots)
        result = np.empty((tables, 1, 1 << num_qubits))
        stream = job.stream or Stream(self._next_call())
        sampler = Sampler(self._entropy, stream)
        size = max(1, BYTES_AT_ONCE // (BYTES_PER_ANGLE * angles + (32 << num_qubits)))
        for first in range(0, tables, size):
            part = np.arange(first, min(first + size, tables))
            with torch.no_grad():
                exact = ladder_probabilities(torch.from_numpy(job.shared[part]), num_qubits)
            values = exact.numpy()[:, None]
            if shots is not None:
                values = sampler.frequencies(values, shots, part, np.arange(1), 0)
            result[part] = values
        return Result(result, None if shots is None else result * (1 - result) / shots)
