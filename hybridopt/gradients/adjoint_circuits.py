"""The circuits of the adjoint rule: forward and backward, saving where derivatives are taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit
from qiskit.circuit.library import UGate

from hybridopt.circuits.circuit_program import CircuitProgram, FixedGate, Layer, Rotation
from hybridopt.circuits.lowering import taken_apart
from hybridopt.execution.readout import Setting
from hybridopt.execution.stack import Stack

FINAL = "final"


class FramedLayer:
    """A layer whose rotations are diagonal between two changes of frame.

    The change back and the rotation of a qubit that has just one are merged into one gate.

    Args:
        layer: Fixed gates and commuting rotations.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._into: list[FixedGate] = []
        self._out: list[FixedGate] = []
        framed: set[int] = set()
        for rotation in layer.rotations:
            new = [item for item in rotation.into_frame() if not framed.issuperset(item.qubits)]
            kept = {qubit for item in new for qubit in item.qubits}
            self._into += new
            self._out += [i for i in rotation.out_of_frame() if kept.issuperset(i.qubits)]
            framed |= kept
        self._merged = set(filter(self._can_merge, layer.rotations))
        self._merged_qubits = {rotation.qubits[0] for rotation in self._merged}

    @cached_property
    def inverse_fixed(self) -> list[FixedGate]:
        """The fixed gates undone, last first."""
        return [
            FixedGate(gate, qubits)
            for item in reversed(self.layer.fixed)
            for gate, qubits in taken_apart(item.gate.inverse(), item.qubits)
        ]

    def add_into_frame(self, circuit: QuantumCircuit) -> None:
        """Before it, the rotations stand as they are; after it, they are diagonal."""
        _append(circuit, self._into)

    def add_out_of_frame(self, circuit: QuantumCircuit) -> None:
        """The inverse."""
        _append(circuit, self._out)

    def add_rotations(self, circuit: QuantumCircuit, stack: Stack, shared: Sequence[float]) -> None:
        """From the frame through the rotations back to the circuit."""
        for rotation in self.layer.rotations:
            if rotation in self._merged:
                first, last = _merged_angles(rotation, shared[rotation.angle])
                circuit.append(UGate(math.pi / 2, first, last), rotation.qubits, copy=False)
            else:
                _add_phases(circuit, stack, rotation, shared, 1)
        _append(circuit, self._not_merged(self._out))

    def add_inverse_rotations(
        self, circuit: QuantumCircuit, stack: Stack, shared: Sequence[float]
    ) -> None:
        """From the circuit back through the rotations into the frame."""
        _append(circuit, self._not_merged(self._into))
        for rotation in self.layer.rotations:
            if rotation in self._merged:
                first, last = _merged_angles(rotation, shared[rotation.angle])
                circuit.append(UGate(-math.pi / 2, -last, -first), rotation.qubits, copy=False)
            else:
                _add_phases(circuit, stack, rotation, shared, -1)

    def _not_merged(self, items: Iterable[FixedGate]) -> list[FixedGate]:
        return [item for item in items if not self._merged_qubits.issuperset(item.qubits)]

    def _can_merge(self, rotation: Rotation) -> bool:
        (first, *others) = rotation.qubits
        alone = sum(first in other.qubits for other in self.layer.rotations) == 1
        turned = rotation.family.frames in {("X",), ("Y",)}
        return alone and turned and not others and not rotation.per_sample


class AdjointCircuits:
    """Builds the runs of a program.

    Args:
        program: The circuits.
        needs: Whether derivatives by the angles of the samples, and by the shared ones, are taken.
    """

    def __init__(self, program: CircuitProgram, needs: tuple[bool, bool]) -> None:
        self.layers = [FramedLayer(layer) for layer in program.layers]
        self.wanted = {
            place: [r for r in layer.rotations if needs[0 if r.per_sample else 1]]
            for place, layer in enumerate(program.layers)
        }
        self.wanted = {place: rotations for place, rotations in self.wanted.items() if rotations}

    def forward(
        self,
        stack: Stack,
        shared: Float64[np.ndarray, " O"],
        settings: Sequence[Setting],
        *,
        remember: bool,
    ) -> tuple[QuantumCircuit, list[str]]:
        """Saves the final state, what the settings read, and, to remember, states by layer."""
        circuit = stack.begin()
        angles = shared.tolist()
        for place, framed in enumerate(self.layers):
            stack.add_fixed(circuit, framed.layer)
            if remember and place in self.wanted:
                framed.add_into_frame(circuit)
                circuit.save_statevector(label=layer_label(place))
                framed.add_rotations(circuit, stack, angles)
            else:
                stack.add_rotations(circuit, framed.layer, angles)
        circuit.save_statevector(label=FINAL)
        return circuit, stack.add_readout(circuit, settings)

    def backward(
        self,
        stack: Stack,
        state: Complex128[np.ndarray, " amplitudes"],
        shared: Float64[np.ndarray, " O"],
        save: Callable[[QuantumCircuit, int], None],
    ) -> QuantumCircuit:
        """From a final state back to the first layer that is wanted.

        Args:
            stack: The samples.
            state: Of the whole stack, normalised.
            shared: The shared angles [rad].
            save: Appends what is saved in the frame of a layer, before its rotations.
        """
        circuit = stack.begin(state)
        angles = shared.tolist()
        first = min(self.wanted)
        for place in reversed(range(first, len(self.layers))):
            framed = self.layers[place]
            framed.add_inverse_rotations(circuit, stack, angles)
            if place in self.wanted:
                save(circuit, place)
            if place == first:
                break
            framed.add_out_of_frame(circuit)
            _append(circuit, framed.inverse_fixed)
        return circuit


def layer_label(place: int) -> str:
    """Under which the state of a layer is saved."""
    return f"layer {place}"


def _add_phases(
    circuit: QuantumCircuit, stack: Stack, rotation: Rotation, shared: Sequence[float], sign: int
) -> None:
    if rotation.per_sample:
        stack.add_phases(circuit, rotation, sign)
    else:
        _append(circuit, [rotation.phases(sign * shared[rotation.angle])])


def _merged_angles(rotation: Rotation, angle: float) -> tuple[float, float]:
    """H RZ(angle), or S H RZ(angle), is U(pi/2, first, last) up to a phase."""
    first = math.pi / 2 if rotation.family.frames == ("Y",) else 0.0
    return first, math.pi + angle


def _append(circuit: QuantumCircuit, items: Iterable[FixedGate]) -> None:
    for item in items:
        circuit.append(item.gate, item.qubits, copy=False)
