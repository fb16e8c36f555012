"""Tests of the linear regression against closed forms."""

from __future__ import annotations

import pytest
import torch

from hybridopt.optim import OPTIMIZERS


@pytest.fixture(scope="module")
def data(example):
    return example.make_data()


def test_gradient_descent_follows_the_closed_form(example, data, capsys):
    x, y = data
    design = torch.cat([x, torch.ones_like(x)], dim=1)
    hessian = 2 * design.T @ design / len(x)
    best = torch.linalg.solve(design.T @ design, design.T @ y)[:, 0]
    contraction = torch.eye(2, dtype=torch.float64) - 0.01 * hessian

    path = example.gradient_descent(x, y, steps=1000, lr=0.01)

    for step in (1, 2, 10, 500, 1000):
        expected = best + torch.linalg.matrix_power(contraction, step) @ (path[0] - best)
        torch.testing.assert_close(path[step], expected, rtol=0, atol=1000 * 1e-15)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    residual = y[:, 0] - design @ path[100]
    assert lines[0] == f"step  100  loss {residual.square().mean():.6f}"


def test_newton_needs_one_step(example, data):
    outcome = example.race("newton", *data)
    assert outcome.steps == 1
    assert outcome.calls == 2  # the loss with its graph, and the accepted step
    assert abs(outcome.gap) < 1e-12


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sgd"])
def test_every_optimizer_on_all_points_converges(example, data, name):
    outcome = example.race(name, *data)
    assert outcome.gap <= 1e-6
    assert outcome.steps < 5000


def test_stochastic_gradient_descent_stays_within_its_noise(example, data):
    """Check the relative excess loss, whose mean is lr * trace(H) / (2 b) for batches of b.

    It has two degrees of freedom and exceeds ten times the mean with probability exp(-10).
    """
    outcome = example.race("sgd", *data, max_steps=500)
    x, _ = data
    trace = 2 * (1 + x.square().mean().item())
    assert outcome.steps == 500
    assert 0 < outcome.gap < 10 * 0.1 * trace / (2 * 10)


def test_main_prints_a_row_per_optimizer(example, capsys):
    example.main()
    out = capsys.readouterr().out
    assert "step 1000" in out
    for name in OPTIMIZERS:
        assert f"│ {name} " in out
