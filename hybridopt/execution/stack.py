r"""Stacking: samples that share their other angles as blocks of one larger state.

Index qubits on top of the circuit's own, in uniform superposition, tell the samples apart; a gate
on the low qubits acts on all samples at once. A rotation whose angle differs from sample to sample
is, in its frame, one diagonal on its qubits and the index: entry :math:`e^{-i \theta_b d_k}` for
sample b. One run of a wider circuit takes the place of one run for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction

from hybridopt.circuits.circuit_program import CircuitProgram, Layer, Rotation
from hybridopt.circuits.diagonal import AerDiagonal
from hybridopt.circuits.rotations import Angle
from hybridopt.execution.measuring import save_settings
from hybridopt.execution.readout import Setting


class Stack:
    """Builds circuits for some samples at once.

    Args:
        program: The family of circuits.
        rows: Angles of the samples, shape ``(B, R)`` [rad].
    """

    def __init__(self, program: CircuitProgram, rows: Float64[np.ndarray, "B R"]) -> None:
        self.program = program
        self.size = len(rows)
        self.index_bits = (self.size - 1).bit_length()
        self._rows = np.zeros((1 << self.index_bits, rows.shape[1]))
        self._rows[: self.size] = rows

    def doubled(self) -> Stack:
        """Twice the same samples, told apart by one more index qubit on top."""
        return Stack(self.program, np.concatenate([self._rows, self._rows]))

    @property
    def num_qubits(self) -> int:
        """The circuit's own and the index."""
        return self.program.num_qubits + self.index_bits

    @property
    def index(self) -> range:
        """The index qubits."""
        return range(self.program.num_qubits, self.num_qubits)

    def begin(self, state: Complex128[np.ndarray, " amplitudes"] | None = None) -> QuantumCircuit:
        """An empty circuit: all samples in |0>, or in a state of the whole stack."""
        circuit = QuantumCircuit(self.num_qubits)
        if state is not None:
            circuit.set_statevector(state)
        elif self.index_bits:
            circuit.h(self.index)
        return circuit

    def add_fixed(self, circuit: QuantumCircuit, layer: Layer) -> None:
        """Append the fixed gates of a layer."""
        for item in layer.fixed:
            circuit.append(item.gate, item.qubits, copy=False)

    def add_rotations(self, circuit: QuantumCircuit, layer: Layer, shared: Sequence[Angle]) -> None:
        """Append the rotations of a layer, the shared ones by numbers or parameters."""
        for rotation in layer.rotations:
            if not rotation.per_sample:
                self._add(circuit, rotation, shared[rotation.angle])
            elif self.index_bits == 0:
                self._add(circuit, rotation, float(self._rows[0, rotation.angle]))
            else:
                for item in rotation.into_frame():
                    circuit.append(item.gate, item.qubits, copy=False)
                self.add_phases(circuit, rotation)
                for item in rotation.out_of_frame():
                    circuit.append(item.gate, item.qubits, copy=False)

    def add_phases(self, circuit: QuantumCircuit, rotation: Rotation, sign: int = 1) -> None:
        """Append a rotation that differs between samples, in its frame, or (-1) its inverse."""
        angles = sign * self._rows[:, rotation.angle]
        phases = np.exp(-1j * np.outer(angles, rotation.family.eigenvalues))
        diagonal: Instruction = AerDiagonal(phases.ravel().tolist())
        circuit.append(diagonal, [*rotation.qubits, *self.index], copy=False)

    def add_readout(self, circuit: QuantumCircuit, settings: Sequence[Setting]) -> list[str]:
        """Append what saves the probabilities of every sample; returns the labels."""
        return save_settings(circuit, settings, self.index)

    def split(self, saved: Float64[np.ndarray, ...]) -> Float64[np.ndarray, "B outcomes"]:
        """Probabilities of each sample, of what was saved for the stack."""
        blocks = 1 << self.index_bits
        return blocks * saved.reshape(blocks, -1)[: self.size]

    @staticmethod
    def _add(circuit: QuantumCircuit, rotation: Rotation, angle: Angle) -> None:
        for item in rotation.gates(angle):
            circuit.append(item.gate, item.qubits, copy=False)
