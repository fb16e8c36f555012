"""Circuits with features that are difficult for devices."""

from __future__ import annotations

from itertools import combinations

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

X = Parameter("x")
W = ParameterVector("w", 2)
VALUES = {X: 0.6, W[0]: 0.9, W[1]: -0.7}


def with_barriers() -> QuantumCircuit:
    """Return folded gates, which a transpiler would cancel without barriers."""
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
    """Return delays in units of dt and ns, also on a qubit without gates."""
    # the delays in ns are multiples of the time steps of the devices
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
    """Return gates between every pair of qubits."""
    circuit = QuantumCircuit(4)
    circuit.ry(X, 0)
    circuit.ry(W[0], 2)
    for first, second in combinations(range(4), 2):
        circuit.cx(first, second)
    circuit.cp(W[1] + X, 0, 3)
    circuit.sx(3)
    return circuit


def with_reversed_pairs() -> QuantumCircuit:
    """Return gates on pairs in the reverse direction of the couplings."""
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
    """Return a circuit whose qubits 2 and 3 have no gates and are read."""
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
# Strings in one basis, in two, and on idle qubits; the rightmost letter is qubit 0.
OBSERVABLES = {
    "barriers": ("ZIZ", "IYX"),
    "delays": ("ZIZZ", "IIXY"),
    "uncoupled": ("ZIIZ", "XYII"),
    "reversed": ("IZZ", "YXI"),
    "idle": ("ZZIII", "IIXIX"),
}
