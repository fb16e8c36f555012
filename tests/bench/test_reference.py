"""The dense twin against Qiskit's own states and finite differences of whole circuits."""

from __future__ import annotations

import numpy as np
from qiskit.quantum_info import Statevector

from hybridopt.bench.problem import Problem, reuploading
from hybridopt.bench.reference import reference
from tests.bench.circuits import mixed


def outputs(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows = []
    for sample in x:
        table = dict(zip([*problem.inputs, *problem.weights], [*sample, *w], strict=True))
        state = Statevector(problem.circuit.assign_parameters(table))
        rows.append([state.expectation_value(op).real for op in problem.observables])
    return np.array(rows)


def test_values_and_gradient_are_those_of_whole_circuits():
    problem = mixed()
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.values, outputs(problem, x, w), atol=1e-12)
    step = 1e-4  # the error is a sixth of its square
    for j in range(len(w)):
        shift = np.zeros_like(w)
        shift[j] = step
        above, below = (outputs(problem, x, w + sign * shift) for sign in (1, -1))
        slope = (above - below).sum(-1).mean() / (2 * step)
        assert abs(twin.gradient[j] - slope) < 5e-7


def test_slopes_sum_over_the_places_of_a_weight():
    problem = reuploading(3, 24, 4)
    x, w = problem.angles(np.random.default_rng(1))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.slopes[:, 0], np.abs(x[:, 0]), atol=1e-15)  # w0 x0 + w1
    np.testing.assert_allclose(twin.slopes[:, 1], 1)
    assert twin.steepness.shape == (4,)
    assert (twin.steepness > 0).all()


def test_weight_in_two_gates():
    problem = mixed()
    x, w = problem.angles(np.random.default_rng(2))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.slopes[:, 0], np.sqrt(2))  # w0 in rx with factor 1, and in rxx
    np.testing.assert_allclose(twin.slopes[:, 2], np.sqrt(1 + 0.25))  # in u, and half of it in rzz
    np.testing.assert_allclose(twin.slopes[:, 4], np.sqrt(np.cos(w[4]) ** 2 + 1))
