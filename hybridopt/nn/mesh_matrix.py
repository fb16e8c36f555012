"""The matrix of a mesh by torch, without a circuit."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.circuits.mesh import Mesh


def mesh_matrices(mesh: Mesh, angles: Float64[Tensor, "S P"]) -> Float64[Tensor, "S m n"]:
    """W / alpha at S rows of angles t [rad], differentiable.

    Rotations of different modes are done at once; the formula is that of `Mesh.propagate`.
    """
    eye = torch.eye(mesh.num_modes, mesh.num_inputs, dtype=torch.float64, device=angles.device)
    states = eye.expand(len(angles), -1, -1)  # rows are modes
    cosines, sines = torch.cos(angles)[..., None], torch.sin(angles)[..., None]
    for group in mesh.sweeps:
        numbers = list(group)
        a = [mesh.pairs[number][0] for number in group]
        b = [mesh.pairs[number][1] for number in group]
        above, below = states[:, a], states[:, b]
        c, s = cosines[:, numbers], sines[:, numbers]
        turned = torch.cat([c * above + s * below, c * below - s * above], dim=1)
        where = torch.tensor(a + b, device=angles.device)
        states = states.index_copy(1, where, turned)
    return states[:, : mesh.num_outputs]
