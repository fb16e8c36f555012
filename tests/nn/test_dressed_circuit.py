"""The dressed circuit against products of matrices, and against the gallery's."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from qiskit.quantum_info import Operator

from hybridopt.circuits import load_circuit
from hybridopt.nn.dressed import dressed

HADAMARD = np.array([[1, 1], [1, -1]]) / math.sqrt(2)


def turn(angle: float) -> np.ndarray:
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    return np.array([[c, -s], [s, c]])


def on_all(gates: list[np.ndarray]) -> np.ndarray:
    return reduce(lambda product, gate: np.kron(gate, product), gates, np.eye(1))


def cx(control: int, num_qubits: int) -> np.ndarray:
    """On the next qubit."""
    matrix = np.zeros((1 << num_qubits, 1 << num_qubits))
    for state in range(1 << num_qubits):
        matrix[state ^ (((state >> control) & 1) << (control + 1)), state] = 1
    return matrix


def matrix_of(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    n = len(x)
    result = on_all([turn(angle) @ HADAMARD for angle in x])
    for layer in w.reshape(-1, n):
        for control in (*range(0, n - 1, 2), *range(1, n - 1, 2)):
            result = cx(control, n) @ result
        result = on_all([turn(angle) for angle in layer]) @ result
    return result


@pytest.mark.parametrize(("num_qubits", "depth"), [(1, 2), (2, 1), (3, 2), (4, 3), (5, 1)])
def test_is_the_product_of_its_matrices(num_qubits, depth):
    rng = np.random.default_rng(1)
    circuit, inputs, weights = dressed(num_qubits, depth)
    x, w = rng.uniform(-3, 3, num_qubits), rng.uniform(-3, 3, num_qubits * depth)
    bound = circuit.assign_parameters({inputs: x, weights: w})
    np.testing.assert_allclose(Operator(bound).data, matrix_of(x, w), rtol=0, atol=1e-14)


def test_the_gallery_has_the_same():
    loaded = load_circuit("dressed_circuit")
    circuit, inputs, weights = dressed(4, 3)
    x, w = np.arange(1.0, 5), np.arange(0.1, 1.3, 0.1)
    ours = circuit.assign_parameters({inputs: x, weights: w})
    given = [*loaded.input_parameters, *loaded.weight_parameters]
    theirs = loaded.circuit.assign_parameters(dict(zip(given, [*x, *w], strict=True)))
    np.testing.assert_allclose(Operator(ours).data, Operator(theirs).data, rtol=0, atol=1e-14)
