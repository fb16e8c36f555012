"""RY gates selected by an index, compared with gates of Qiskit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import RYGate, UCRYGate
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from hybridopt.circuits.ry_multiplexer import multiplexer_circuit, ry_matrices


def angles(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(-4 * np.pi, 4 * np.pi, number)


def test_matrices_are_those_of_the_gate():
    theta, out = np.append(angles(7), np.pi / 2), np.full((8, 2, 2), 7 + 7j)
    expected = [RYGate(t).to_matrix() for t in theta]
    np.testing.assert_allclose(ry_matrices(theta), expected, rtol=0, atol=1e-15)
    assert ry_matrices(theta, out) is out
    np.testing.assert_array_equal(out, ry_matrices(theta))
    assert out[-1, 0, 0] == out[-1, 1, 0]


@pytest.mark.parametrize("num_index_qubits", [1, 3, 4])
def test_circuit_on_aer_is_the_gate_of_qiskit(num_index_qubits):
    theta = angles(1 << num_index_qubits)
    circuit = multiplexer_circuit(theta)
    circuit.save_statevector()
    state = AerSimulator(method="statevector").run(circuit).result().get_statevector()
    expected = QuantumCircuit(num_index_qubits + 1)
    expected.h(range(num_index_qubits))
    expected.append(UCRYGate(theta.tolist()), [num_index_qubits, *range(num_index_qubits)])
    np.testing.assert_allclose(state, Statevector(expected).data, rtol=0, atol=1e-12)
