"""Damped directions compared with dense solutions and eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import pytest
import torch

from hybridopt.errors import TrainingError
from hybridopt.optim.curvature import Curvature
from hybridopt.optim.directions import GROWTH, CholeskyDirections, ConjugateGradientDirections

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


def test_damping_is_just_above_the_lowest_eigenvalue():
    matrix = with_eigenvalues(-2.0, 1.0, 5.0)
    solver = CholeskyDirections(GRADIENT, matrix, resolution=EPS)
    direction, damping = next(solver.directions(0.0))
    assert 2.0 < damping <= GROWTH * 2.0
    damped = matrix + damping * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(direction, -torch.linalg.solve(damped, GRADIENT))
    assert GRADIENT @ direction < 0


def test_singular_matrix_is_damped():
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


def test_zero_curvature_gives_a_unit_step():
    zeros = torch.zeros(3, 3, dtype=torch.float64)
    direction, _ = next(CholeskyDirections(GRADIENT, zeros, resolution=EPS).directions(0.0))
    torch.testing.assert_close(direction, -GRADIENT / GRADIENT.norm())


@dataclass
class Dense(Curvature):
    """Curvature given as a matrix; counts products."""

    gradient: torch.Tensor
    matrix: torch.Tensor
    rows_at_once: int = 1
    products_taken: list[int] = field(default_factory=list)

    def products(self, vectors):
        self.products_taken.append(len(vectors))
        return vectors @ self.matrix


def diagonal(values, scale=1e-12):
    """Return a diagonal model with a tiny gradient, whose square root is the tolerance."""
    diag = torch.tensor(values, dtype=torch.float64)
    return Dense(scale * torch.arange(1, len(values) + 1, dtype=torch.float64), torch.diag(diag))


def solve(model, damping=0.0, max_steps=100):
    solver = ConjugateGradientDirections(model, resolution=EPS, max_steps=max_steps)
    return solver, list(solver.directions(damping))


@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_matches_dense_solution(damping):
    model = diagonal([1.0, 2.0, 3.0, 4.0, 5.0])
    _, [(direction, kept), _] = solve(model, damping)
    damped = model.matrix + damping * torch.eye(5, dtype=torch.float64)
    expected = -torch.linalg.solve(damped, model.gradient)
    torch.testing.assert_close(direction, expected, rtol=1e-5, atol=0)  # tolerance: sqrt(7e-12)
    assert kept == damping
    assert len(model.products_taken) == 5  # number of distinct eigenvalues


def test_stops_after_max_steps_on_a_descent_direction():
    model = diagonal([1.0, 2.0, 3.0, 4.0, 5.0])
    _, [(direction, _), _] = solve(model, max_steps=2)
    assert len(model.products_taken) == 2
    assert model.gradient @ direction < 0


def test_negative_curvature_in_the_first_step():
    model = diagonal([-1.0, -2.0, -3.0])
    _, [(direction, damping), _] = solve(model)
    torch.testing.assert_close(direction, -model.gradient, rtol=0, atol=0)
    assert damping > 2.5  # the curvature along the gradient (1, 2, 3) is -36/14


def test_negative_curvature_in_a_later_step():
    model = diagonal([-0.1, 2.0, 3.0])
    solver, [(direction, damping), (along_gradient, more)] = solve(model)
    assert model.gradient @ direction < 0
    assert 0 < solver.smallest_damping < damping <= more
    curvature = (-0.1 + 2 * 4 + 3 * 9) / 14
    torch.testing.assert_close(along_gradient, -model.gradient / curvature)


def test_undefined_products():
    with pytest.raises(TrainingError, match="second derivatives"):
        solve(diagonal([1.0, float("nan"), 2.0]))
