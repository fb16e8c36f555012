"""One common shift, compared with single shifts of all rotations of the gate chain."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from scipy.linalg import hadamard

from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.bridges.memory.readout import CircuitReader
from hybridopt.execution import AerExecutor
from hybridopt.gradients import ParameterShift

THETA = np.random.default_rng(3).uniform(-np.pi, np.pi, 8)


def chain(walsh: np.ndarray) -> QuantumCircuit:
    """Return eight rotations of the data qubit between CX in Gray order, on three index qubits."""
    circuit = QuantumCircuit(4)
    circuit.h([0, 1, 2])
    for code, control in zip([0, 1, 3, 2, 6, 7, 5, 4], [0, 1, 0, 2, 0, 1, 0, 2], strict=True):
        circuit.ry(walsh[code], 3)
        circuit.cx(control, 3)
    return circuit


def readout(walsh: np.ndarray) -> np.ndarray:
    """Return N <Z_data |k><k|> for all k."""
    probabilities = Statevector(chain(walsh)).probabilities()
    return 8 * (probabilities[:8] - probabilities[8:])


def shift_every_angle(theta: np.ndarray) -> np.ndarray:
    """Return d cos(theta_k) / d theta_j from two settings per rotation, 2 N in total."""
    walsh = hadamard(8) @ theta / 8
    by_walsh = []
    for unit in np.eye(8):
        up, down = readout(walsh + np.pi / 2 * unit), readout(walsh - np.pi / 2 * unit)
        by_walsh.append((up - down) / 2)
    return np.array(by_walsh).T @ hadamard(8) / 8


@pytest.mark.parametrize("synthesis", ["gates", "multiplexer"])
def test_one_common_shift_equals_all_single_shifts(synthesis):
    executor = AerExecutor()
    reader = CircuitReader(MemoryProgram(3, synthesis), executor, ParameterShift())
    derivative = -reader.read(THETA, order=1)
    np.testing.assert_allclose(shift_every_angle(THETA), np.diag(derivative), rtol=0, atol=1e-12)
    assert executor.usage.settings == 1


@pytest.mark.parametrize("order", range(6))
def test_each_order_is_a_derivative_up_to_its_sign(order):
    derivative = (np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin)[order % 4](THETA)
    theta = THETA.copy()
    read = np.cos(ParameterShift().common_shift(theta, order))
    np.testing.assert_array_equal(theta, THETA)  # the argument stays unchanged
    np.testing.assert_allclose((-1) ** order * read, derivative, rtol=0, atol=1e-14)
