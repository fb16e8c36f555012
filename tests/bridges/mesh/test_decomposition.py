"""Decomposition of matrices into rotations, compared with products of dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.bridges.mesh.decomposition import MeshShape

SHAPES = [(m, n) for m in range(1, 9) for n in range(1, 9)]


def random_matrix(m: int, n: int) -> np.ndarray:
    return np.random.default_rng((m, n)).normal(size=(m, n))


def dense(mesh: MeshShape, angles: np.ndarray) -> np.ndarray:
    """Return the product of all rotations."""
    whole = np.eye(mesh.num_modes)
    for (a, b), t in zip(mesh.pairs, angles, strict=True):
        rotation = np.eye(mesh.num_modes)
        rotation[np.ix_([a, b], [a, b])] = [[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]]
        whole = rotation @ whole
    return whole


@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_one_angle_per_entry_holds_the_matrix(m, n):
    matrix, mesh = random_matrix(m, n), MeshShape(m, n)
    alpha = 2.5 * np.linalg.norm(matrix, 2)
    angles = mesh.decompose(matrix, alpha)
    assert angles.shape == (m * n,)
    assert len(mesh.pairs) == mesh.num_angles == m * n
    assert mesh.num_modes == max(m, n) + min(m, n)
    actual = alpha * dense(mesh, angles)[:m, :n]
    np.testing.assert_allclose(actual, matrix, rtol=0, atol=1e-14 * alpha * (m + n))


@pytest.mark.parametrize(("m", "n"), [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_matrices_of_any_rank_are_held(m, n, rank):
    rng = np.random.default_rng(rank)
    matrix, mesh = rng.normal(size=(m, rank)) @ rng.normal(size=(rank, n)), MeshShape(m, n)
    angles = mesh.decompose(matrix, 20.0)
    np.testing.assert_allclose(20 * dense(mesh, angles)[:m, :n], matrix, rtol=0, atol=1e-13)


def test_alpha_can_equal_the_spectral_norm():
    matrix, mesh = np.diag([3.0, -2.0, 0.5]), MeshShape(3, 3)
    actual = 3 * dense(mesh, mesh.decompose(matrix, 3.0))[:3, :3]
    np.testing.assert_allclose(actual, matrix, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 7), (7, 2), (6, 6)])
def test_sweeps_contain_each_rotation_once_and_no_mode_twice(m, n):
    mesh = MeshShape(m, n)
    assert sorted(k for group in mesh.sweeps for k in group) == list(range(m * n))
    for group in mesh.sweeps:
        modes = [mode for k in group for mode in mesh.pairs[k]]
        assert len(set(modes)) == len(modes)
    assert len(mesh.sweeps) <= 2 * (m + n)
