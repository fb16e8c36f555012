"""The matrix of a mesh by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridopt.bridges.mesh.closed_form import mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (5, 3), (4, 4)])
def test_it_is_what_the_mesh_does_to_unit_vectors(m, n):
    mesh = MeshShape(m, n)
    angles = np.random.default_rng(m).normal(size=(2, m * n))
    expected = mesh.propagate(angles, np.eye(n, mesh.num_modes))[..., :m].swapaxes(1, 2)
    actual = mesh_matrices(mesh, torch.from_numpy(angles))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=1e-14)


def test_it_is_differentiable():
    angles = torch.linspace(-1, 2, 6, dtype=torch.float64)[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda a: mesh_matrices(MeshShape(2, 3), a), angles)
