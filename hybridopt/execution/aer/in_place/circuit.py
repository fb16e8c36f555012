r"""Circuits in place: many states side by side in one buffer, and the way back.

Gates that are the same for all states act on the whole buffer by Aer. Rotations whose angles differ
are phases in their frames. Numpy multiplies these at *points*, each before the rotations of a
layer. Up to the first such point there is one state only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import Rotation, frame_changes
from hybridopt.execution.aer.in_place.fusion import FusedGates, Fuser, inverse
from hybridopt.execution.aer.in_place.state import BufferedState, Placed

AMPLITUDES_IN_PLACE = 1 << 15  # measured: larger stacks are faster with Aer's threads and fusion
WIDEST_GATE = 4  # qubits; measured: a matrix of more takes longer than Aer's own gate

States = Complex128[np.ndarray, "_ dim"]  # one per row


@dataclass(eq=False)
class PhasesAt:
    """Rotations of one layer in their frames, with an angle for each state."""

    rotations: tuple[Rotation, ...]
    num_qubits: int

    def table(self, angles: Float64[np.ndarray, "cells A"]) -> States:
        """Return the phases of each basis state, for each row of angles [rad]."""
        qubits: dict[tuple[int, ...], np.ndarray] = {}
        for rotation in self.rotations:
            exponents = angles[:, rotation.angle, None] * rotation.family.eigenvalues
            known = qubits.get(rotation.qubits)
            qubits[rotation.qubits] = exponents if known is None else known + exponents
        factors = {places: np.exp(-1j * exponents) for places, exponents in qubits.items()}
        result = np.ones((len(angles), 1), dtype=np.complex128)
        for qubit in range(self.num_qubits):
            own = factors.pop((qubit,), None)
            if own is None:
                result = np.concatenate([result, result], axis=1)
            else:
                result = (own[:, :, None] * result[:, None, :]).reshape(len(angles), -1)
        for places, factor in factors.items():
            self._spread(result, places, factor)
        return result

    def _spread(self, result: States, qubits: tuple[int, ...], factor: np.ndarray) -> None:
        """Multiply by phases of several qubits."""
        axes = [self.num_qubits - qubit for qubit in reversed(qubits)]  # axis 0 counts the cells
        cube = factor.reshape(-1, *(2,) * len(qubits))
        cube = cube.transpose(0, *(1 + np.argsort(axes)))
        shape = [len(factor), *(2 if 1 + a in axes else 1 for a in range(self.num_qubits))]
        result.reshape(-1, *(2,) * self.num_qubits)[:] *= cube.reshape(shape)


class InPlaceCircuit:
    """Circuit of a program, cut at the points before the rotations of some layers.

    Args:
        program: Program that `supports` accepts.
        points: Layers at which states are changed or kept; all layers with row angles.
    """

    def __init__(self, program: CircuitProgram, points: frozenset[int]) -> None:
        self.program = program
        self.points = sorted(points)
        segments = [Fuser()]
        self.per_sample: dict[int, PhasesAt] = {}
        self.shared: dict[int, PhasesAt] = {}
        for place, layer in enumerate(program.layers):
            into_frame, out_of_frame = frame_changes(layer.rotations)
            segments[-1].add([*layer.fixed, *into_frame])
            if place in points:
                segments.append(Fuser())
            groups: tuple[list[Rotation], list[Rotation]] = ([], [])
            for rotation in layer.rotations:
                groups[rotation.per_sample].append(rotation)
            for rotation in groups[0]:
                segments[-1].add_phases(rotation)
            segments[-1].add(out_of_frame)
            for kept, group in zip((self.shared, self.per_sample), groups, strict=True):
                if group:
                    kept[place] = PhasesAt(tuple(group), program.num_qubits)
        self._gates = FusedGates(segments)

    @classmethod
    def of(cls, program: CircuitProgram, points: frozenset[int]) -> InPlaceCircuit:
        """Return the circuit, made once per program and points."""
        return program.derived(("in place", points), lambda: cls(program, points))

    def gates(self, shared: Float64[np.ndarray, " O"]) -> list[list[Placed]]:
        """Return the gates before each point, and after the last one, at shared angles [rad]."""
        return self._gates.at(shared)

    def start(self, rows: Float64[np.ndarray, "B R"]) -> States:
        """Return the first state of each sample, or the one that all samples share."""
        if self.program.amplitudes is not None:
            return self.program.amplitudes.states(rows, self.program.num_qubits)
        state = np.zeros((1, 1 << self.program.num_qubits), dtype=np.complex128)
        state[0, 0] = 1
        return state


def layers_with_row_angles(program: CircuitProgram) -> frozenset[int]:
    """Return the layers with rotations whose angles differ between samples."""

    def found() -> frozenset[int]:
        return frozenset(
            place
            for place, layer in enumerate(program.layers)
            if any(rotation.per_sample for rotation in layer.rotations)
        )

    return program.derived("layers with row angles", found)


def supports(program: CircuitProgram) -> bool:
    """Return True if no gate is too wide for a matrix."""

    def narrow() -> bool:
        return all(len(step.qubits) <= WIDEST_GATE for step in program.steps)

    return not program.native_gates and program.derived("narrow gates", narrow)


class _Cells:
    """Buffer of states, on which gates act that are the same for all states, as a context."""

    def __init__(self, states: States, *, continues: bool) -> None:
        self.count = len(states)
        blocks = 1 << (self.count - 1).bit_length()
        self._buffer = np.zeros((blocks, states.shape[1]), dtype=np.complex128)
        self.states = self._buffer[: self.count]
        self.states[:] = states
        self._state = BufferedState(self._buffer.reshape(-1), continues=continues)

    def __enter__(self) -> _Cells:
        self._state.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._state.__exit__(*raised)

    def apply(self, gates: Sequence[Placed]) -> None:
        self._state.apply(gates)


def apply(states: States, gates: Sequence[Placed]) -> States:
    """Return states after more gates of a run that is counted already."""
    with _Cells(states, continues=True) as cells:
        cells.apply(gates)
    return cells.states


# changes states at a point in place, or returns more states that are continued
Change = Callable[[int, States], States | None]


def forward(
    states: States, gates: Sequence[Sequence[Placed]], points: Sequence[int], change: Change
) -> States:
    """Return the final states; ``gates`` has a segment before each point, and a last one."""
    segment = 0
    while True:
        with _Cells(states, continues=segment > 0) as cells:
            while segment <= len(points):
                cells.apply(gates[segment])
                if segment == len(points):
                    return cells.states
                grown = change(points[segment], cells.states)
                segment += 1
                if grown is not None:
                    states = grown
                    break


def backward(
    states: States, gates: Sequence[Sequence[Placed]], points: Sequence[int], change: Change
) -> States:
    """Return the states taken back through all segments, changed at each point on the way.

    ``gates`` has one segment more than points, as in `forward`, or one per point, so that the way
    ends at the first point.
    """
    segment = len(gates)
    while True:
        with _Cells(states, continues=segment < len(gates)) as cells:
            while segment:
                segment -= 1
                cells.apply(inverse(gates[segment]))
                place = segment - len(gates) + len(points)
                if place < 0:
                    return cells.states
                joined = change(points[place], cells.states)
                if joined is not None:
                    states = joined
                    break
            else:
                return cells.states
