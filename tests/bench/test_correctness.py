from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hybridopt.bench.correctness import judge
from hybridopt.bench.peers import Hybridopt, PennyLane
from hybridopt.bench.problem import ladder, reuploading
from hybridopt.bench.reference import reference

SHIFT = Hybridopt("parameter-shift")


@pytest.fixture
def solved():
    problem = reuploading(3, 24, 4)
    x, w = problem.angles(np.random.default_rng(0))
    return problem, reference(problem, x, w)


def test_exact_numbers_agree_to_the_precision_of_the_competitor(solved):
    problem, twin = solved
    off = twin.gradient.copy()
    off[5] += 3e-8  # the scale is 3: three observables
    for competitor, agrees in [(SHIFT, False), (PennyLane("lightning.qubit", "adjoint"), True)]:
        verdict = judge(competitor, problem, twin, twin.values, off)
        assert verdict.deviation == pytest.approx(1e-8, rel=1e-6)
        assert (verdict.agrees, verdict.unit) == (agrees, "relative")


def test_a_wrong_value_is_seen_too(solved):
    problem, twin = solved
    values = twin.values.copy()
    values[1, 2] += 1e-3
    assert not judge(SHIFT, problem, twin, values, twin.gradient).agrees


@pytest.mark.parametrize("broken", [np.zeros(3), np.full(24, np.nan)])
def test_wrong_shapes_and_nan_never_agree(solved, broken):
    problem, twin = solved
    assert not judge(SHIFT, problem, twin, twin.values, broken).agrees


def test_shots_are_judged_by_their_standard_error():
    problem = ladder(3, 6, 8).resized(batch=None, shots=400)
    twin = reference(problem, *problem.angles(np.random.default_rng(0)))
    error = 1 / math.sqrt(2 * 400 * 8)  # every weight stands in one gate with factor one
    for times in (4.9, 5.1):
        off = twin.gradient.copy()
        off[2] += times * error
        verdict = judge(SHIFT, problem, twin, twin.values, off)
        assert verdict.deviation == pytest.approx(times)
        assert verdict.agrees == (times < 5)
        assert verdict.unit == "standard errors"


def test_bounds_hold_for_what_is_really_drawn():
    problem = reuploading(3, 24, 4).resized(batch=None, shots=50)
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    deviations = []
    for seed in range(12):
        for rule in ("parameter-shift", "spsa"):
            one = Hybridopt(rule, seed=seed)
            verdict = judge(one, problem, twin, *one.prepare(problem).gradient(x, w))
            deviations.append(verdict.deviation)
    assert max(deviations) < 5
    assert max(deviations) > 0.5  # not so loose that anything would pass


def test_spsa_without_shots_must_still_have_exact_values(solved):
    problem, twin = solved
    one = Hybridopt("spsa")
    assert judge(one, problem, twin, twin.values, twin.gradient).agrees
    assert not judge(one, problem, twin, twin.values + 1e-6, twin.gradient).agrees
    far = twin.gradient + 100 * problem.scale
    assert not judge(one, replace(problem, shots=None), twin, twin.values, far).agrees
