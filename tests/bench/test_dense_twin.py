"""Tests of the dense twin against states and channels of Qiskit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import DensityMatrix, Statevector, pauli_basis

from hybridopt.bench.dense_twin import reference
from hybridopt.bench.problem import Problem, ladder, reuploading
from tests.bench.circuits import mixed


def outputs(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows = []
    for sample in x:
        table = dict(zip([*problem.inputs, *problem.weights], [*sample, *w], strict=True))
        state = Statevector(problem.circuit.assign_parameters(table))
        rows.append([state.expectation_value(op).real for op in problem.observables])
    return np.array(rows)


def test_values_and_gradient_match_states_of_qiskit():
    problem = mixed()
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.values, outputs(problem, x, w), atol=1e-12)
    step = 1e-4  # the error is at most step^2 / 6 times a third derivative
    for j in range(len(w)):
        shift = np.zeros_like(w)
        shift[j] = step
        above, below = (outputs(problem, x, w + sign * shift) for sign in (1, -1))
        slope = (above - below).sum(-1).mean() / (2 * step)
        assert abs(twin.gradient[j] - slope) < 5e-7


def test_slopes_sum_over_all_gates_of_a_weight():
    problem = reuploading(3, 24, 4)
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.slopes[:, 0], np.abs(x[:, 0]), atol=1e-15)  # w0 x0 + w1
    np.testing.assert_allclose(twin.slopes[:, 1], 1)
    assert twin.steepness.shape == (4,)
    assert (twin.steepness > 0).all()
    problem = mixed()
    x, w = problem.angles(np.random.default_rng(2))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.slopes[:, 0], np.sqrt(2))  # w0 in rx and in rxx
    np.testing.assert_allclose(twin.slopes[:, 2], np.sqrt(1 + 0.25))  # w2 in u, w2 / 2 in rzz
    np.testing.assert_allclose(twin.slopes[:, 4], np.sqrt(np.cos(w[4]) ** 2 + 1))


def noisy_outputs(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Evolve a density matrix; the noise is the mean over all Pauli strings on the qubits."""
    (sample,) = x
    table = dict(zip([*problem.inputs, *problem.weights], [*sample, *w], strict=True))
    bound = problem.circuit.assign_parameters(table)
    state = DensityMatrix.from_label("0" * problem.num_qubits)
    for item in bound.data:
        places = [bound.find_bit(qubit).index for qubit in item.qubits]
        if item.operation.name == "barrier":
            continue
        state = state.evolve(item.operation, places)
        strings = pauli_basis(len(places))
        mean = sum((state.evolve(one, places).data for one in strings), 0j) / len(strings)
        state = DensityMatrix((1 - problem.noise) * state.data + problem.noise * mean)
    return np.array([[state.expectation_value(op).real for op in problem.observables]])


def test_noise_matches_density_matrices_of_qiskit():
    problem = mixed().resized(batch=1, noise=0.02)
    x, w = problem.angles(np.random.default_rng(0))
    twin = reference(problem, x, w)
    np.testing.assert_allclose(twin.values, noisy_outputs(problem, x, w), atol=1e-12)
    step = 1e-4
    shift = step * np.eye(len(w))[4]  # w4 in u and in xx_plus_yy
    above, below = (noisy_outputs(problem, x, w + sign * shift).sum() for sign in (1, -1))
    assert twin.gradient[4] == pytest.approx((above - below) / (2 * step), abs=5e-7)


def test_little_noise_changes_little():
    problem = reuploading(3, 12, 2)
    x, w = problem.angles(np.random.default_rng(0))
    pure, noisy = (reference(problem.resized(noise=p), x, w) for p in (None, 1e-12))
    for name in ("values", "gradient", "slopes", "steepness"):
        np.testing.assert_allclose(getattr(noisy, name), getattr(pure, name), atol=1e-9)


def test_a_channel_shrinks_values_by_a_known_factor():
    problem = ladder(2, 2, 3).resized(noise=0.1)
    x, w = problem.angles(np.random.default_rng(0))
    angles = x[:, 1] + w[1]  # CX maps Z Z to Z of qubit 1, which has two rotations and one CX
    expected = 0.9**3 * np.cos(angles)
    np.testing.assert_allclose(reference(problem, x, w).values[:, 0], expected, atol=1e-14)
