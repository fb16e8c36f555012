"""Tests of the comparison with the dense twin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hybridopt.bench.correctness import deviation_from_twin
from hybridopt.bench.dense_twin import reference
from hybridopt.bench.peers import PennyLane
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import ladder, reuploading

SHIFT = Hybridopt("parameter-shift")


@pytest.fixture
def solved():
    problem = reuploading(3, 24, 4)
    x, w = problem.angles(np.random.default_rng(0))
    return problem, reference(problem, x, w)


def test_exact_results_agree_within_the_tolerance_of_the_competitor(solved):
    problem, twin = solved
    off = twin.gradient.copy()
    off[5] += 3e-8  # the scale is 3, for three observables
    for competitor, agrees in [(SHIFT, False), (PennyLane("lightning.qubit", "adjoint"), True)]:
        found = deviation_from_twin(competitor, problem, twin, twin.values, off)
        assert found.size == pytest.approx(1e-8, rel=1e-6)
        assert (found.agrees, found.unit) == (agrees, "relative")


def test_the_reason_names_the_wrong_part(solved):
    problem, twin = solved
    values, gradient = twin.values + 3e-3, twin.gradient - 6e-3  # the scale is 3
    for result, short in [
        ((twin.values, twin.gradient), ""),
        (
            (values, twin.gradient),
            "the gradient agrees, but the outputs deviate from T by 1.0e-03 R",
        ),
        (
            (twin.values, gradient),
            "the outputs agree, but the gradient deviates from T by 2.0e-03 R",
        ),
        (
            (values, gradient),
            "the outputs deviate from T by 1.0e-03 R, and the gradient by 2.0e-03",
        ),
    ]:
        reason = short.replace("T", "the dense twin").replace("R", "(relative), allowed 1e-09")
        found = deviation_from_twin(SHIFT, problem, twin, *result)
        assert (found.reason, found.agrees) == (reason, not reason)


@pytest.mark.parametrize(
    ("outputs", "gradient", "reason"),
    [
        (None, np.zeros(23), "the gradient has shape (23,), expected (24,)"),
        (np.zeros((4, 1)), None, "the outputs have shape (4, 1), expected (4, 3)"),
        (np.full((4, 3), np.nan), np.full(24, np.inf),
         "the outputs contain NaN, the gradient contains infinite numbers"),
        (None, np.zeros(24, complex),
         "the gradient has the type complex128, expected real numbers"),
        (np.zeros((4, 3), str), None, "the outputs have the type <U1, expected real numbers"),
    ],
)  # fmt: skip
def test_results_that_cannot_be_compared_have_a_reason(outputs, gradient, reason, solved):
    problem, twin = solved
    values = twin.values if outputs is None else outputs
    found = deviation_from_twin(
        SHIFT, problem, twin, values, twin.gradient if gradient is None else gradient
    )
    assert (found.agrees, found.size, found.reason) == (False, math.inf, reason)


def test_sampled_results_are_compared_by_their_standard_error():
    problem = ladder(3, 6, 8).resized(batch=None, shots=400)
    twin = reference(problem, *problem.angles(np.random.default_rng(0)))
    error = 1 / math.sqrt(2 * 400 * 8)  # every weight is the angle of one gate
    for times in (4.9, 5.1):
        off = twin.gradient.copy()
        off[2] += times * error
        found = deviation_from_twin(SHIFT, problem, twin, twin.values, off)
        assert found.size == pytest.approx(times)
        assert found.agrees == (times < 5)
        assert found.unit == "standard errors"


def test_bounds_hold_for_sampled_results():
    problem = reuploading(3, 24, 4).resized(batch=None, shots=50)
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    deviations = []
    for seed in range(12):
        for rule in ("parameter-shift", "spsa"):
            one = Hybridopt(rule, seed=seed)
            found = deviation_from_twin(one, problem, twin, *one.prepare(problem).gradient(x, w))
            deviations.append(found.size)
    assert max(deviations) < 5
    assert max(deviations) > 0.5  # the bound is not too loose


def test_spsa_without_shots_needs_exact_values(solved):
    problem, twin = solved
    one = Hybridopt("spsa")
    assert deviation_from_twin(one, problem, twin, twin.values, twin.gradient).agrees
    assert not deviation_from_twin(one, problem, twin, twin.values + 1e-6, twin.gradient).agrees
    far = twin.gradient + 100 * problem.scale
    assert not deviation_from_twin(one, replace(problem, shots=None), twin, twin.values, far).agrees
