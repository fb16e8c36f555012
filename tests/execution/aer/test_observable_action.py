"""Weighted observables applied to states, compared with matrices."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, random_statevector

from hybridopt.circuits import lower
from hybridopt.execution import Expectations, Probabilities
from hybridopt.execution.aer.observable_action import ObservableAction

PROGRAM = lower(QuantumCircuit(4))
STATES = np.stack([random_statevector(16, seed=seed).data for seed in range(3)])
WEIGHTS = np.random.default_rng(0).normal(size=(3, 4))
OBSERVABLES = (
    SparsePauliOp(["XYZI", "ZZIX", "IIII", "YYYX"], [0.4, -1.2, 0.3, 2.0]),
    SparsePauliOp("IYIX"),
    SparsePauliOp(["ZIIZ", "ZIIZ", "IZZI"], [1.0, -0.5, 0.25]),
    SparsePauliOp(["XXXX", "YYYY"], [1.0, 1.0]),
)


def test_sums_of_observables_are_matrix_products():
    act = ObservableAction(Expectations(OBSERVABLES), PROGRAM)
    for weights, state, result in zip(WEIGHTS, STATES, act(WEIGHTS, STATES), strict=True):
        matrix = sum(w * o.to_matrix() for w, o in zip(weights, OBSERVABLES, strict=True))
        np.testing.assert_allclose(result, matrix @ state, rtol=0, atol=1e-12)


@pytest.mark.parametrize("qubits", [None, (2, 0), (3,), (1, 3, 0)])
def test_probabilities_are_projectors(qubits):
    read = qubits or (0, 1, 2, 3)
    weights = np.random.default_rng(1).normal(size=(3, 1 << len(read)))
    act = ObservableAction(Probabilities(qubits=qubits), PROGRAM)
    for g, state, result in zip(weights, STATES, act(weights, STATES), strict=True):
        for index in range(16):
            outcome = sum(((index >> q) & 1) << place for place, q in enumerate(read))
            assert result[index] == pytest.approx(g[outcome] * state[index], abs=1e-15)


def test_weights_of_zero_give_zero():
    act = ObservableAction(Expectations(OBSERVABLES), PROGRAM)
    assert not act(np.zeros((3, 4)), STATES).any()


def test_values_are_expectation_values_whatever_the_rounding_of_coefficients():
    rounded = (SparsePauliOp(["ZIIZ", "XYII"], [0.5 + 1e-17j, -0.3 - 1e-17j]), *OBSERVABLES)
    act = ObservableAction(Expectations(rounded), PROGRAM)
    expected = [[(s.conj() @ o.to_matrix() @ s).real for o in rounded] for s in STATES]
    np.testing.assert_allclose(act.values(STATES), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("coefficient", [0.0, 1.5])
def test_multiples_of_the_identity(coefficient):
    act = ObservableAction(Expectations((SparsePauliOp("IIII", [coefficient]),)), PROGRAM)
    weights = WEIGHTS[:, :1]
    np.testing.assert_allclose(act(weights, STATES), coefficient * weights * STATES, atol=1e-15)
    np.testing.assert_array_equal(act.values(STATES), np.full((3, 1), coefficient))
