"""The circuit within a dressed quantum network."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector


def dressed(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """H and RY(input) on every qubit, then layers of CX and RY(weight).

    A layer entangles the pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ..., and turns every
    qubit by a weight of its own.

    Args:
        num_qubits: n, one or more; so many inputs.
        depth: Layers; n weights in each.

    Returns:
        The circuit, its inputs ``x[0], ..., x[n-1]`` and its weights ``w[0], ...``, layer by layer.

    References:
        Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278.
    """
    inputs = ParameterVector("x", num_qubits)
    weights = ParameterVector("w", num_qubits * depth)
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for qubit, angle in enumerate(inputs):
        circuit.ry(angle, qubit)
    for layer in range(depth):
        for first in (0, 1):
            for control in range(first, num_qubits - 1, 2):
                circuit.cx(control, control + 1)
        for qubit in range(num_qubits):
            circuit.ry(weights[layer * num_qubits + qubit], qubit)
    return circuit, inputs, weights
