"""Aer runs our diagonal as Qiskit's checked one."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import DiagonalGate
from qiskit_aer import AerSimulator

from hybridopt.circuits.gates import AerDiagonal


def state_after(diagonal) -> np.ndarray:
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.append(diagonal, [2, 0, 3])
    circuit.save_statevector()
    simulator = AerSimulator(method="statevector")
    return np.asarray(simulator.run(circuit).result().get_statevector(circuit))


def phases(seed: int) -> list[complex]:
    return np.exp(1j * np.random.default_rng(seed).uniform(-3, 3, 8)).tolist()


def test_aer_runs_it():
    expected = state_after(DiagonalGate(phases(0)))
    np.testing.assert_allclose(state_after(AerDiagonal(phases(0))), expected, rtol=0, atol=1e-12)


def test_first_phases_are_replaced_and_the_rest_stays():
    diagonal = AerDiagonal(phases(0))
    diagonal.set_first_phases(phases(1)[:5])
    expected = state_after(DiagonalGate([*phases(1)[:5], *phases(0)[5:]]))
    np.testing.assert_allclose(state_after(diagonal), expected, rtol=0, atol=1e-12)
