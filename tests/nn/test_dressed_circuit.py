"""The dressed circuit against matrix products, and against the circuit of the gallery."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from qiskit.quantum_info import Operator

from hybridopt.circuits import load_circuit
from hybridopt.nn.dressed import dressed

HADAMARD = np.array([[1, 1], [1, -1]]) / math.sqrt(2)


def ry(angle: float) -> np.ndarray:
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    return np.array([[c, -s], [s, c]])


def tensor_product(gates: list[np.ndarray]) -> np.ndarray:
    return reduce(lambda product, gate: np.kron(gate, product), gates, np.eye(1))


def cx(control: int, num_qubits: int) -> np.ndarray:
    """Return the matrix of CX from ``control`` to the next qubit."""
    matrix = np.zeros((1 << num_qubits, 1 << num_qubits))
    for state in range(1 << num_qubits):
        matrix[state ^ (((state >> control) & 1) << (control + 1)), state] = 1
    return matrix


def matrix_of(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    n = len(x)
    result = tensor_product([ry(angle) @ HADAMARD for angle in x])
    for layer in w.reshape(-1, n):
        for control in (*range(0, n - 1, 2), *range(1, n - 1, 2)):
            result = cx(control, n) @ result
        result = tensor_product([ry(angle) for angle in layer]) @ result
    return result


@pytest.mark.parametrize(("num_qubits", "depth"), [(1, 2), (2, 1), (3, 2), (4, 3), (5, 1)])
def test_matches_matrix_product(num_qubits, depth):
    rng = np.random.default_rng(1)
    circuit, inputs, weights = dressed(num_qubits, depth)
    x, w = rng.uniform(-3, 3, num_qubits), rng.uniform(-3, 3, num_qubits * depth)
    bound = circuit.assign_parameters({inputs: x, weights: w})
    np.testing.assert_allclose(Operator(bound).data, matrix_of(x, w), rtol=0, atol=1e-14)
    if (num_qubits, depth) == (4, 3):
        loaded = load_circuit("dressed_circuit")
        given = [*loaded.input_parameters, *loaded.weight_parameters]
        gallery = loaded.circuit.assign_parameters(dict(zip(given, [*x, *w], strict=True)))
        np.testing.assert_allclose(Operator(gallery).data, matrix_of(x, w), rtol=0, atol=1e-14)
