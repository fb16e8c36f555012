"""Marginal sums compared with Qiskit's probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import random_statevector

from hybridopt.circuits import lower
from hybridopt.execution.aer.marginals import eigenvalue_sums, marginal


@pytest.mark.parametrize("width", [1, 2, 3])
def test_sums_are_the_probabilities_of_the_qubits_in_their_order(width):
    states = [random_statevector(8, seed) for seed in range(3)]
    blocks = np.abs(np.stack([state.data for state in states])) ** 2
    for qubits in itertools.permutations(range(3), width):
        expected = [state.probabilities(list(qubits)) for state in states]
        np.testing.assert_allclose(marginal(blocks, qubits), expected, rtol=0, atol=1e-15)


def test_sums_with_eigenvalues_are_those_of_dense_diagonals():
    angles = ParameterVector("a", 7)
    circuit = QuantumCircuit(4)
    circuit.rz(angles[0], 3)
    circuit.rx(angles[1], 1)
    circuit.crz(angles[2], 2, 0)
    circuit.rzz(angles[3], 1, 3)
    circuit.p(angles[4], 1)
    circuit.append(XXPlusYYGate(angles[5]), [3, 0])
    circuit.ry(angles[6], 2)
    rotations = lower(circuit, (), angles).rotations
    product = np.random.default_rng(0).normal(size=(3, 16))
    index, columns = np.arange(16), []
    for rotation in rotations:
        bits = [(index >> qubit) & 1 for qubit in rotation.qubits]
        local = sum(bit << place for place, bit in enumerate(bits))
        columns.append(rotation.family.eigenvalues[local])
    expected = product @ np.stack(columns, axis=1)
    np.testing.assert_allclose(eigenvalue_sums(product, rotations), expected, rtol=0, atol=1e-13)
    only = [r for r in rotations if len(r.qubits) > 1]
    assert eigenvalue_sums(product, only).shape == (3, len(only))
    assert eigenvalue_sums(product, []).shape == (3, 0)
