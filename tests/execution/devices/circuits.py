"""Circuits, each with what goes wrong easily where circuits meet devices."""

from __future__ import annotations

from itertools import combinations

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

X = Parameter("x")
W = ParameterVector("w", 2)
VALUES = {X: 0.6, W[0]: 0.9, W[1]: -0.7}


def with_barriers() -> QuantumCircuit:
    """Folded gates, which a transpiler would cancel without barriers."""
    circuit = QuantumCircuit(3)
    circuit.ry(X, 0)
    circuit.rx(W[0], 1)
    circuit.cx(0, 1)
    for _ in range(4):
        circuit.barrier()
        circuit.cx(0, 1)
    circuit.barrier(1, 2)
    circuit.ry(2 * W[1], 2)
    circuit.cx(1, 2)
    return circuit


def with_delays() -> QuantumCircuit:
    """In units of the device and of seconds, also on a qubit without gates.

    Seconds are whole numbers of the steps to which devices align delays.
    """
    circuit = QuantumCircuit(4)
    circuit.ry(X, 0)
    circuit.rx(W[0], 1)
    circuit.cx(0, 1)
    circuit.delay(16000, 0, unit="dt")
    circuit.delay(10656, 1, unit="ns")
    circuit.ry(W[1], 0)
    circuit.delay(3552, 3, unit="ns")
    circuit.cx(1, 2)
    return circuit


def with_uncoupled_pairs() -> QuantumCircuit:
    """Every qubit with every other."""
    circuit = QuantumCircuit(4)
    circuit.ry(X, 0)
    circuit.ry(W[0], 2)
    for first, second in combinations(range(4), 2):
        circuit.cx(first, second)
    circuit.cp(W[1] + X, 0, 3)
    circuit.sx(3)
    return circuit


def with_reversed_pairs() -> QuantumCircuit:
    """Against the direction that a device has."""
    circuit = QuantumCircuit(3)
    circuit.ry(X, 1)
    circuit.sx([0, 2])
    circuit.cx(1, 0)
    circuit.rzz(W[0], 0, 1)
    circuit.cx(2, 1)
    circuit.rzz(W[0] * W[1], 1, 2)
    circuit.ry(W[1], 2)
    circuit.cx(1, 2)
    return circuit


def with_idle_qubits() -> QuantumCircuit:
    """Qubits 2 and 3 have no gates, and are read."""
    circuit = QuantumCircuit(5)
    circuit.ry(X, 0)
    circuit.rx(W[0], 1)
    circuit.ry(W[1], 4)
    circuit.cx(0, 1)
    return circuit


CIRCUITS = {
    "barriers": with_barriers,
    "delays": with_delays,
    "uncoupled": with_uncoupled_pairs,
    "reversed": with_reversed_pairs,
    "idle": with_idle_qubits,
}
# Strings of one basis, of two, and on idle qubits; the rightmost letter is qubit 0.
OBSERVABLES = {
    "barriers": ("ZIZ", "IYX"),
    "delays": ("ZIZZ", "IIXY"),
    "uncoupled": ("ZIIZ", "XYII"),
    "reversed": ("IZZ", "YXI"),
    "idle": ("ZZIII", "IIXIX"),
}
