"""Damped directions against dense solutions and eigenvalues."""

from __future__ import annotations

from itertools import islice

import torch

from hybridopt.optim.cholesky import GROWTH, CholeskyDirections

EPS = torch.finfo(torch.float64).eps
ROTATION = torch.linalg.qr(
    torch.tensor([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0], [1.5, 0.2, 0.7]], dtype=torch.float64)
)[0]
GRADIENT = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def with_eigenvalues(*values):
    return ROTATION @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ ROTATION.T


def test_definite_matrix_is_solved_without_damping():
    matrix = with_eigenvalues(1.0, 4.0, 9.0)
    solver = CholeskyDirections(GRADIENT, matrix, resolution=EPS)
    direction, damping = next(solver.directions(0.0))
    assert damping == 0
    torch.testing.assert_close(direction, -torch.linalg.solve(matrix, GRADIENT))


def test_damping_passes_the_lowest_eigenvalue_and_not_by_far():
    matrix = with_eigenvalues(-2.0, 1.0, 5.0)
    solver = CholeskyDirections(GRADIENT, matrix, resolution=EPS)
    direction, damping = next(solver.directions(0.0))
    assert 2.0 < damping <= GROWTH * 2.0
    damped = matrix + damping * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(direction, -torch.linalg.solve(damped, GRADIENT))
    assert GRADIENT @ direction < 0


def test_singular_matrix_is_damped_and_not_divided_by_noise():
    matrix = torch.diag(torch.tensor([1e-17, 1.0, 5.0], dtype=torch.float64))  # has a factor
    solver = CholeskyDirections(GRADIENT, matrix, resolution=EPS)
    direction, damping = next(solver.directions(0.0))
    assert damping == solver.smallest_damping
    assert direction.norm() <= GRADIENT.norm() / damping


def test_directions_turn_to_the_gradient_as_damping_grows():
    solver = CholeskyDirections(GRADIENT, with_eigenvalues(1.0, 4.0, 9.0), resolution=EPS)
    found = list(islice(solver.directions(0.0), 60))
    dampings = [damping for _, damping in found]
    assert dampings == sorted(dampings)
    cosines = [-(d @ GRADIENT / (d.norm() * GRADIENT.norm())).item() for d, _ in found]
    assert cosines[-1] > 1 - 1e-12
    assert found[-1][0].norm() < 1e-9


def test_no_curvature_at_all_takes_a_unit_step():
    zeros = torch.zeros(3, 3, dtype=torch.float64)
    direction, _ = next(CholeskyDirections(GRADIENT, zeros, resolution=EPS).directions(0.0))
    torch.testing.assert_close(direction, -GRADIENT / GRADIENT.norm())
