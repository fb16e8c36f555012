"""Truncated conjugate gradients against dense solutions."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from hybridopt.errors import TrainingError
from hybridopt.optim.conjugate_gradient import ConjugateGradientDirections

EPS = torch.finfo(torch.float64).eps


@dataclass
class Dense:
    """A curvature given as a matrix, which counts products."""

    gradient: torch.Tensor
    matrix: torch.Tensor
    rows_at_once: int = 1
    products_taken: list[int] = field(default_factory=list)

    def products(self, vectors):
        self.products_taken.append(len(vectors))
        return vectors @ self.matrix


def diagonal(values, scale=1e-12):
    """The gradient is tiny, so the tolerance, its square root, is tight."""
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
    assert len(model.products_taken) == 5  # as many as distinct eigenvalues


def test_stops_after_max_steps_on_a_descent_direction():
    model = diagonal([1.0, 2.0, 3.0, 4.0, 5.0])
    _, [(direction, _), _] = solve(model, max_steps=2)
    assert len(model.products_taken) == 2
    assert model.gradient @ direction < 0


def test_negative_curvature_at_once_gives_the_gradient_and_damping_beyond_it():
    model = diagonal([-1.0, -2.0, -3.0])
    _, [(direction, damping), _] = solve(model)
    torch.testing.assert_close(direction, -model.gradient, rtol=0, atol=0)
    assert damping > 2.5  # the curvature along the gradient (1, 2, 3) is -36/14


def test_negative_curvature_later_keeps_the_iterate():
    model = diagonal([-0.1, 2.0, 3.0])
    solver, [(direction, damping), (along_gradient, more)] = solve(model)
    assert model.gradient @ direction < 0
    assert 0 < solver.smallest_damping < damping <= more
    curvature = (-0.1 + 2 * 4 + 3 * 9) / 14
    torch.testing.assert_close(along_gradient, -model.gradient / curvature)


def test_undefined_products_are_named():
    with pytest.raises(TrainingError, match="second derivatives are not"):
        solve(diagonal([1.0, float("nan"), 2.0]))
