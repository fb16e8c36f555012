"""Armijo backtracking: accepted lengths and the limit of evaluations."""

from __future__ import annotations

import math

import pytest

from hybridopt.optim.newton import SUFFICIENT, backtrack

EPS = 2.0**-52


def search(loss_at, slope, **options):
    settings = {"resolution": 4 * EPS, "max_evaluations": 10, **options}
    return backtrack(loss_at, loss_at(0.0), slope, **settings)


def test_full_step_that_lowers_the_loss():
    assert search(lambda t: (t - 1) ** 2, -2.0) == 1.0


@pytest.mark.parametrize("minimizer", [0.15, 0.3, 0.45])
def test_second_length_minimizes_a_parabola(minimizer):
    found = search(lambda t: (t - minimizer) ** 2, -2 * minimizer)
    assert found == pytest.approx(minimizer, rel=1e-12)


def test_accepted_length_decreases_enough():
    def loss_at(t):
        return math.cos(9 * t) + 0.1 * t * t - 0.5 * t

    found = search(loss_at, -0.5)
    assert loss_at(found) <= loss_at(0) - SUFFICIENT * 0.5 * found


def test_infinite_and_undefined_losses_shorten_the_step():
    def loss_at(t):
        return math.nan if t > 0.5 else math.inf if t > 0.05 else 1 - t

    assert search(loss_at, -1.0) == pytest.approx(0.01)


def test_stops_after_max_evaluations():
    lengths = []

    def loss_at(t):
        lengths.append(t)
        return t

    assert search(loss_at, -1.0, max_evaluations=4) is None
    assert len(lengths) == 1 + 4
    assert lengths[1:] == sorted(lengths[1:], reverse=True)


@pytest.mark.parametrize(("worse", "expected"), [(0.0, 1.0), (1e-9, None)])
def test_a_decrease_below_rounding_is_tried_once(worse, expected):
    lengths = []

    def loss_at(t):
        lengths.append(t)
        return 1.0 + worse * (t > 0)

    assert search(loss_at, -1e-17) == expected
    assert lengths == [0.0, 1.0]
