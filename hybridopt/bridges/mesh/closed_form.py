r"""Closed form of a mesh with at most one excited mode, for the twin.

With y the amplitudes of the outputs, the outcomes :math:`s_k = \pm 1` of X on the first j modes
have the joint distribution

.. math::
    p(s_1 \dots s_j) = 2^{-j} \Bigl[ 1 + \sum_{i \le j} s_i y_i
        + \sum_{i < l \le j} s_i s_l \, y_i y_l \Bigr].

It does not depend on the other modes, so outcomes can be sampled one mode after the other.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.bridges.base import FormulaStream
from hybridopt.bridges.mesh.circuit import MeshProgram, reference_mode
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.circuits.program import Program
from hybridopt.errors import ResourceError, UnsupportedError
from hybridopt.execution import Executor, Job, Readout, Result

WIDEST_DISTRIBUTION = 24  # qubits; 128 MB per vector


class ClosedFormMesh(FormulaStream, Executor):
    """Executor that computes meshes without a circuit: the same numbers or distribution."""

    def check(self, program: Program, readout: Readout) -> None:
        """Raise if the program is not a mesh, or has too many outcomes."""
        if not isinstance(program, MeshProgram):
            raise UnsupportedError(
                f"`program` must be a mesh for the closed form (got a {type(program).__name__})."
            )
        if program.feed == "reference" and program.num_qubits > WIDEST_DISTRIBUTION:
            raise ResourceError(
                f'A twin with `readout="reference"` must have at most {WIDEST_DISTRIBUTION} qubits '
                f'(got {program.num_qubits}). Use another readout, such as "auto".'
            )

    def run(self, job: Job) -> Result:
        """Return the readout of the circuits, and their variances with shots."""
        self.check(job.program, job.readout)
        program = job.program
        assert isinstance(program, MeshProgram)
        job.check()
        generator, shots = self._next_generator(), job.shots_for(self.shots)
        mesh = program.mesh
        inputs = torch.from_numpy(_loaded(program, job.rows))
        modes = propagate(mesh, torch.from_numpy(-job.shared / 2), inputs).numpy()
        if program.feed != "reference":
            outputs = modes[..., : mesh.num_outputs]
            if shots is None:
                return Result(outputs)
            cells = outputs.reshape(-1, mesh.num_outputs)
            drawn = [sampled_amplitudes(cell, shots, generator) for cell in cells]
            means = np.array(drawn).reshape(outputs.shape)
            return Result(means, (1 - means**2) / shots)
        one = _compared(mesh, modes / math.sqrt(2)) ** 2
        if shots is not None:
            distribution = one / one.sum(-1, keepdims=True)
            one = generator.multinomial(shots, distribution) / shots
        result = np.zeros((*one.shape[:-1], 1 << program.num_qubits))
        result[..., [1 << mode for mode in range(program.num_qubits)]] = one
        return Result(result, None if shots is None else result * (1 - result) / shots)


def is_formula(executor: Executor) -> bool:
    """Return True for the closed form without shots, which autograd differentiates."""
    return isinstance(executor, ClosedFormMesh) and executor.shots is None


def sampled_amplitudes(
    y: Float64[np.ndarray, " m"], shots: int, generator: np.random.Generator
) -> Float64[np.ndarray, " m"]:
    """Return estimates of all <X_k> from one setting; shots with equal outcomes are grouped."""
    counts = np.array([shots])
    sums, products = np.zeros(1), np.zeros(1)  # of s_i y_i, and of pairs of them
    estimates = np.empty_like(y)
    for k, amplitude in enumerate(y):
        mean = amplitude * (1 + sums) / (1 + sums + products)
        ups = generator.binomial(counts, np.clip((1 + mean) / 2, 0, 1))
        estimates[k] = (2 * ups.sum() - shots) / shots
        products = np.concatenate([products + amplitude * sums, products - amplitude * sums])
        sums = np.concatenate([sums + amplitude, sums - amplitude])
        counts = np.concatenate([ups, counts - ups])
        seen = counts > 0
        counts, sums, products = counts[seen], sums[seen], products[seen]
    return estimates


def _loaded(
    program: MeshProgram, rows: Float64[np.ndarray, "B R"]
) -> Float64[np.ndarray, "B modes"]:
    """Return the input amplitudes of the mesh, from the loader or one excited input."""
    mesh = program.mesh
    inputs = np.zeros((len(rows), mesh.num_modes))
    if program.feed == "basis":
        inputs[:, : mesh.num_inputs] = np.sin(rows / 2) * math.sqrt(2)
        return inputs
    ones = np.ones((len(rows), 1))
    passed = np.cumprod(np.hstack([ones, np.sin(rows / 2)]), axis=1)
    inputs[:, : mesh.num_inputs] = passed * np.hstack([np.cos(rows / 2), ones])
    return inputs


def _compared(
    mesh: MeshShape, modes: Float64[np.ndarray, "S B modes"]
) -> Float64[np.ndarray, "S B qubits"]:
    """Return the amplitudes of all modes and references after the final rotations."""
    references = np.full((*modes.shape[:-1], mesh.num_outputs), 1 / math.sqrt(2 * mesh.num_outputs))
    whole = np.concatenate([modes, references], axis=-1)
    outputs = modes[..., : mesh.num_outputs]
    whole[..., : mesh.num_outputs] = (outputs - references) / math.sqrt(2)
    whole[..., reference_mode(mesh, 0) :] = (references + outputs) / math.sqrt(2)
    return whole


def mesh_matrices(mesh: MeshShape, angles: Float64[Tensor, "S P"]) -> Float64[Tensor, "S m n"]:
    """Return W / alpha at S rows of angles t [rad], differentiable."""
    inputs = torch.eye(mesh.num_inputs, mesh.num_modes, dtype=torch.float64, device=angles.device)
    return propagate(mesh, angles, inputs)[..., : mesh.num_outputs].mT


def propagate(
    mesh: MeshShape, angles: Float64[Tensor, "S P"], inputs: Float64[Tensor, "B modes"]
) -> Float64[Tensor, "S B modes"]:
    """Return the amplitudes of all modes after the mesh, per row of angles t [rad] and input."""
    states = inputs.T.expand(len(angles), -1, -1)  # rows are modes: whole rows are mixed
    cosines, sines = torch.cos(angles)[..., None], torch.sin(angles)[..., None]
    for group in mesh.sweeps:
        first, second = zip(*(mesh.pairs[number] for number in group), strict=True)
        modes = torch.tensor(first + second, device=angles.device)
        above, below = states[:, modes].chunk(2, dim=1)
        c, s = cosines[:, group], sines[:, group]
        rotated = torch.cat([c * above + s * below, c * below - s * above], dim=1)
        states = states.index_copy(1, modes, rotated)
    return states.mT
