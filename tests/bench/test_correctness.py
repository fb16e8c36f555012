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


def test_wrong_values_wrong_shapes_and_nan_never_agree(solved):
    problem, twin = solved
    values = twin.values.copy()
    values[1, 2] += 1e-3
    assert not deviation_from_twin(SHIFT, problem, twin, values, twin.gradient).agrees
    for broken in (np.zeros(3), np.full(24, np.nan)):
        assert not deviation_from_twin(SHIFT, problem, twin, twin.values, broken).agrees


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
