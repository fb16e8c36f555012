"""Noise model with different errors of many gates, and a circuit that begins with its inputs."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
    reset_error,
)

X, W = ParameterVector("x", 4), ParameterVector("w", 6)
GATES = ["cp", "cx", "cz", "h", "p", "r", "rx", "rxx", "ry", "ryy", "rz", "rzx", "rzz", "sx", "u"]


def many_errors() -> NoiseModel:
    """Return errors that are neither unital nor equal on all qubits."""
    model = NoiseModel([*GATES, "ccx", "id", "swap", "x"])
    damping = amplitude_damping_error(0.03)
    two = depolarizing_error(0.02, 2).compose(damping.tensor(pauli_error([("Y", 0.1), ("I", 0.9)])))
    model.add_all_qubit_quantum_error(two, ["cp", "cx", "cz", "rxx", "ryy", "rzx", "rzz"])
    model.add_all_qubit_quantum_error(damping, ["h", "p", "r", "rx", "rz", "u"])
    model.add_quantum_error(reset_error(0.02, 0.01), ["ry", "sx"], [0])
    model.add_quantum_error(pauli_error([("Z", 0.06), ("I", 0.94)]), ["ry", "measure"], [1])
    for qubit in range(3):
        flip = 0.01 + 0.03 * qubit
        model.add_readout_error(ReadoutError([[1 - flip, flip], [3 * flip, 1 - 3 * flip]]), [qubit])
    return model


def inputs_first() -> QuantumCircuit:
    """Return weights before, on, and after the gates with inputs; the last part is the longest."""
    circuit = QuantumCircuit(4)
    circuit.ry(W[0], 0)
    circuit.cx(0, 1)
    for qubit in range(4):
        circuit.rx(X[qubit] * (1 + W[1]), qubit)
    circuit.rz(W[2], 2)
    circuit.rzz(X[0], 3, 1)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
        circuit.ry(W[3 + qubit], qubit)
    return circuit
