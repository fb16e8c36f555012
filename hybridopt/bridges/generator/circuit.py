"""Ansatz of the generator: layers of RY, each followed by a ladder of CX."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector


def ry_ladder(num_qubits: int, num_angles: int) -> QuantumCircuit:
    r"""Return layers of RY on all qubits, each followed by CX from qubit 0 to 1, 1 to 2, etc.

    Angle ``j`` rotates qubit ``j mod num_qubits`` in layer ``j // num_qubits``; the last layer may
    be partial. The ladder maps :math:`|b\rangle` to :math:`|b'\rangle` with
    :math:`b'_j = b_0 \oplus \dots \oplus b_j`. All amplitudes are real.

    References:
        Liu et al., Quantum-Train, arXiv:2405.11304.
    """
    theta = list(ParameterVector("theta", num_angles))
    circuit = QuantumCircuit(num_qubits)
    for first in range(0, num_angles, num_qubits):
        for qubit, angle in enumerate(theta[first : first + num_qubits]):
            circuit.ry(angle, qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit
