"""Ansatz of the generator, compared with products of dense matrices."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from qiskit.quantum_info import Operator

from hybridopt.bridges.generator.circuit import ry_ladder


def rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[cos, -sin], [sin, cos]])


def ladder(num_qubits: int) -> np.ndarray:
    """Return the ladder: bit j of the result is the parity of the bits 0 to j."""
    matrix = np.zeros((1 << num_qubits, 1 << num_qubits))
    for b in range(1 << num_qubits):
        parities = [(b & ((2 << j) - 1)).bit_count() % 2 for j in range(num_qubits)]
        matrix[sum(p << j for j, p in enumerate(parities)), b] = 1
    return matrix


@pytest.mark.parametrize(("num_qubits", "num_angles"), [(1, 2), (3, 3), (3, 7), (4, 2), (4, 9)])
def test_circuit_is_the_product_of_its_layers(num_qubits, num_angles):
    angles = np.random.default_rng(3).uniform(-3, 3, num_angles)
    layers = -(-num_angles // num_qubits)
    padded = np.zeros(layers * num_qubits)
    padded[:num_angles] = angles
    expected = np.eye(1 << num_qubits)
    for rotated in padded.reshape(layers, num_qubits):
        layer = reduce(lambda low, angle: np.kron(rotation(angle), low), rotated, np.eye(1))
        expected = ladder(num_qubits) @ layer @ expected
    circuit = ry_ladder(num_qubits, num_angles).assign_parameters(angles)
    # each product adds one or two roundings
    np.testing.assert_allclose(Operator(circuit).data, expected, atol=1e-14)


def test_parameters_are_in_the_order_of_the_gates():
    circuit = ry_ladder(3, 7)
    rotated = [(i.operation.params[0].index, circuit.find_bit(i.qubits[0]).index)
             for i in circuit.data if i.operation.name == "ry"]  # fmt: skip
    assert rotated == [(j, j % 3) for j in range(7)]
    assert circuit.count_ops() == {"ry": 7, "cx": 6}
