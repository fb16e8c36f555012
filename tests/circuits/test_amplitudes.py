"""Rotations that prepare amplitudes, compared with the normalised vectors."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector

from hybridopt.circuits.amplitudes import AmplitudeInput


@pytest.mark.parametrize("qubits", [(0,), (1, 0), (3, 0, 2)])
def test_rotations_prepare_the_amplitudes_with_their_signs(qubits):
    amplitudes = AmplitudeInput(qubits)
    rows = np.random.default_rng(4).normal(size=(6, amplitudes.size + 2))  # two other angles
    rows[1, : amplitudes.size] = -np.eye(amplitudes.size)[-1]
    rows[2, : amplitudes.size // 2] = 0
    rows[3, ::2] = 0
    rows[4] = -np.abs(rows[4])
    rows[5] *= 1e200
    start = ParameterVector("start", amplitudes.size - 1)
    circuit = QuantumCircuit(max(qubits) + 1)
    amplitudes.append_preparation(circuit, start)
    expected = amplitudes.states(rows, circuit.num_qubits)
    for angles, state in zip(amplitudes.angles(rows), expected, strict=True):
        found = Statevector(circuit.assign_parameters(dict(zip(start, angles, strict=True))))
        np.testing.assert_allclose(found.data, state, rtol=0, atol=1e-14)
