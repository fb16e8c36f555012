r"""RY gates on one data qubit, selected by index qubits in uniform superposition.

With :math:`N = 2^m` angles, the circuit prepares

.. math::
    \frac{1}{\sqrt N} \sum_{k=0}^{N-1} |k\rangle \, R_Y(\theta_k) |0\rangle .

Aer's instruction ``multiplexer`` holds all N matrices. An index is a label that no gate changes
after the superposition. Parts of the index can therefore run one after another, each as a circuit
with fewer index qubits, whose probabilities are divided by the number of parts.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction

from hybridopt.circuits.program import Program

BYTES_PER_AMPLITUDE = 448  # measured: matrices, their copies in Aer, the state and its copies
SQRT_HALF = np.sqrt(0.5)
Matrices = Complex128[np.ndarray, "n 2 2"]


class MultiplexerProgram(Program):
    """Program of RY gates on the last qubit, which all other qubits select.

    Shared angle k [rad] is that of index k. Qubit 0 is the least significant bit of the index.
    """

    num_index_qubits: int

    @property
    @abstractmethod
    def is_multiplexer(self) -> bool:
        """Whether the circuit is H on the index and one multiplexer, not its gate chain."""

    def whole_memory(self) -> int:
        """Return the memory of the circuit as a whole, which most readouts need, in bytes.

        `working_memory` is that of all outcomes, from blocks of the index.
        """
        return BYTES_PER_AMPLITUDE << self.num_qubits


class AerMultiplexer(Instruction):  # type: ignore[misc]
    """Aer's multiplexer of one qubit, in an array that is not copied or checked in Python.

    Its first qubit is the target. The others are the controls, the least significant first.
    """

    def __init__(self, num_controls: int) -> None:
        super().__init__("multiplexer", num_controls + 1, 0, [])

    def set_matrices(self, matrices: Matrices) -> None:
        """Set one unitary matrix per value of the controls.

        It must be in a circuit already, because Qiskit tests the truth of parameters it appends.
        """
        self._params = matrices


def ry_matrices(angles: Float64[np.ndarray, " n"], out: Matrices | None = None) -> Matrices:
    r"""Return the matrix of RY for each angle [rad], in ``out`` if given.

    With :math:`\eta = \theta/2 - \pi/4`, its first column is
    :math:`(\cos\eta - \sin\eta, \cos\eta + \sin\eta) / \sqrt 2`. At :math:`\theta = \pi/2`, both
    entries are the same number, so that the two outcomes are exactly as likely.
    """
    matrices: Matrices = np.empty((len(angles), 2, 2), dtype=complex) if out is None else out
    eta = angles - np.pi / 2
    eta /= 2
    cosines, sines = np.cos(eta), np.sin(eta, out=eta)
    cosines *= SQRT_HALF
    sines *= SQRT_HALF
    real = matrices.real
    np.subtract(cosines, sines, out=real[:, 0, 0])
    np.add(cosines, sines, out=real[:, 1, 0])
    real[:, 1, 1] = real[:, 0, 0]
    np.negative(real[:, 1, 0], out=real[:, 0, 1])
    matrices.imag[:] = 0.0
    return matrices


def multiplexer_circuit(angles: Float64[np.ndarray, " n"]) -> QuantumCircuit:
    """Return H on the index qubits and the multiplexer of RY gates, as instructions of Aer."""
    num_index_qubits = (len(angles) - 1).bit_length()
    circuit = QuantumCircuit(num_index_qubits + 1)
    circuit.h(range(num_index_qubits))
    multiplexer = AerMultiplexer(num_index_qubits)
    circuit.append(multiplexer, [num_index_qubits, *range(num_index_qubits)], copy=False)
    multiplexer.set_matrices(ry_matrices(angles))
    return circuit
