"""Forward and backward circuits of the adjoint rule, with the saved states."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64
from qiskit.circuit.library import UGate
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits.lowering import decompose
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import FixedGate, Layer, Rotation, frame_changes
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.readout import Setting

FINAL, START = "final", "start"
# V RZ(angle) = U(half, first, last + angle) up to a phase, for V = H and V = RX(-pi/2)
_MERGED: dict[tuple[str, ...], tuple[float, float, float]] = {
    ("X",): (math.pi / 2, 0.0, math.pi),
    ("Y",): (-math.pi / 2, -math.pi / 2, math.pi / 2),
}


class FramedLayer:
    """Layer of diagonals between changes of frame, merged on qubits with one rotation."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.into_frame, self.out_of_frame = frame_changes(layer.rotations)
        self._merged = set(filter(self._can_merge, layer.rotations))
        self._diagonal = [r for r in layer.rotations if r not in self._merged]
        self._merged_qubits = {rotation.qubits[0] for rotation in self._merged}

    def add_rotations(self, stack: Stack, sign: int = 1) -> None:
        """Append the rotations and the change out of their frame, or (-1) the inverse."""
        if sign < 0:
            stack.add(self._not_merged(self.into_frame))
        for rotation in self.layer.rotations:
            if rotation in self._merged:
                half, first, last = _MERGED[rotation.family.frames]
                angle = stack.parameter(rotation, sign, sign * last)
                gate = UGate(half, first, angle) if sign > 0 else UGate(-half, angle, -first)
                stack.add([FixedGate(gate, rotation.qubits)])
        stack.add_phases(self._diagonal, sign)
        if sign > 0:
            stack.add(self._not_merged(self.out_of_frame))

    def _not_merged(self, items: Iterable[FixedGate]) -> list[FixedGate]:
        return [item for item in items if not self._merged_qubits.issuperset(item.qubits)]

    def _can_merge(self, rotation: Rotation) -> bool:
        same = sum(rotation.qubits[0] in other.qubits for other in self.layer.rotations)
        return same == 1 and not rotation.per_sample and rotation.family.frames in _MERGED


class AdjointCircuits:
    """Circuits of a program for derivatives with respect to (rows, shared angles)."""

    def __init__(self, program: CircuitProgram, needs: tuple[bool, bool]) -> None:
        self._program = program
        self._needs = needs
        self.layers = [FramedLayer(layer) for layer in program.layers]
        self.wanted = {
            place: rotations
            for place, layer in enumerate(program.layers)
            if (rotations := [r for r in layer.rotations if needs[0 if r.per_sample else 1]])
        }
        self.to_start = needs[0] and program.amplitudes is not None

    def forward(
        self, index_bits: int, settings: tuple[Setting, ...], *, keep: bool, lane: int = 0
    ) -> Stack:
        """Return the stack that saves the final state, the readout and, if wanted, layer states."""

        def build() -> Stack:
            stack = Stack(self._program, index_bits)
            for place, framed in enumerate(self.layers):
                stack.add(framed.layer.fixed)
                if not keep:
                    stack.add_rotations(framed.layer)
                    continue
                stack.add(framed.into_frame)
                if place in self.wanted:
                    stack.circuit.save_statevector(label=label(place))
                framed.add_rotations(stack)  # merged gates have the phase of the backward run
            stack.circuit.save_statevector(label=FINAL)
            stack.add_readout(settings)
            return stack

        key = ("adjoint forward", self._needs, index_bits, settings, keep, lane)
        return self._program.derived(key, build)

    def backward(
        self, index_bits: int, *, together: bool, on_gpu: bool = False, lane: int = 0
    ) -> Stack:
        """Return the stack from a final state back to the first layer with derivatives.

        On a GPU, derivatives of shared angles are expectation values, summed over the samples.
        """

        def build() -> Stack:
            stack = Stack(self._program, index_bits, from_state=True)
            first = 0 if self.to_start else min(self.wanted)
            for place in reversed(range(first, len(self.layers))):
                framed = self.layers[place]
                framed.add_rotations(stack, -1)
                if place in self.wanted and not together:
                    stack.circuit.save_statevector(label=label(place))
                for number, rotation in enumerate(self.wanted.get(place, ())) if together else ():
                    name = label(place, number)
                    if on_gpu and not rotation.per_sample:
                        qubits = [*rotation.qubits, stack.index[-1]]
                        difference = difference_of(rotation.family.eigenvalues)
                        stack.circuit.save_expectation_value(difference, qubits, label=name)
                    else:
                        qubits = [*rotation.qubits, *stack.index]
                        stack.circuit.save_probabilities(qubits, label=name)
                if place > first or self.to_start:
                    stack.add(framed.out_of_frame)
                    for item in reversed(framed.layer.fixed):
                        undone = decompose(item.gate.inverse(), item.qubits)
                        stack.add([FixedGate(gate, qubits) for gate, qubits in undone])
            if self.to_start:
                stack.circuit.save_statevector(label=START)
            return stack

        key = ("adjoint backward", self._needs, index_bits, together, on_gpu, lane)
        return self._program.derived(key, build)


def label(place: int, rotation: int | None = None) -> str:
    """Return the label of the saved state of a layer, or probabilities of a rotation."""
    return f"layer {place} rotation {rotation}"


def difference_of(eigenvalues: Float64[np.ndarray, " states"]) -> SparsePauliOp:
    """Return -Z times a diagonal operator; Z is on the qubit of the two halves of a stack.

    The operator is written as a sum of products of Z on its own qubits, the first ones.
    """
    num_qubits = eigenvalues.size.bit_length() - 1
    index = np.arange(eigenvalues.size)
    signs = 1 - 2 * (np.bitwise_count(index[:, None] & index) % 2).astype(int)
    coefficients = signs @ eigenvalues / eigenvalues.size
    strings = [
        ("Z" + "".join("IZ"[mask >> q & 1] for q in reversed(range(num_qubits))), -coefficient)
        for mask, coefficient in enumerate(coefficients.tolist())
        if coefficient
    ]
    return SparsePauliOp.from_list(strings)
