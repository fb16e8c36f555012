r"""Circuits in place: many states side by side in one buffer, and the way back.

Gates that are the same for all states act on the whole buffer by Aer. Rotations whose angles differ
are phases in their frames. Numpy multiplies these at *points*, each before the rotations of a
layer. Up to the first such point there is one state only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import Rotation, frame_changes
from hybridopt.execution.aer.in_place.fusion import FusedGates, Fuser, inverse
from hybridopt.execution.aer.in_place.state import BufferedState, Placed
from hybridopt.execution.aer.simulator import usable_threads

# Measured on one core, against jobs of Aer: 3.5 times faster at 2^8 amplitudes, 1.7 times at 2^15,
# 1.3 to 1.7 times from 2^16 to 2^20. Jobs of Aer use all cores, gates in place use one. Against two
# cores, times are equal at about 2^16 amplitudes, or 2^18 in a table of many rows.
AMPLITUDES_IN_PLACE = 1 << 15
AMPLITUDES_OF_A_TABLE = 1 << 18
AMPLITUDES_ON_ONE_CORE = 1 << 20  # larger ones are not measured
WIDEST_GATE = 4  # qubits of a matrix; wider gates run as circuits of Aer

States = Complex128[np.ndarray, "_ dim"]  # one per row


class PhasesAt:
    """Rotations of one layer in their frames, with an angle for each state."""

    def __init__(self, rotations: Sequence[Rotation], num_qubits: int) -> None:
        self.angles = [rotation.angle for rotation in rotations]
        places = dict.fromkeys(rotation.qubits for rotation in rotations)
        single = [(qubit,) for qubit in range(num_qubits)]
        self._joint = [qubits for qubits in places if len(qubits) > 1]
        columns = {}  # of the exponents of the basis states of each group of qubits
        width = 0
        for qubits in (*single, *self._joint):
            columns[qubits] = range(width, width + (1 << len(qubits)))
            width += 1 << len(qubits)
        self._exponents = np.zeros((len(rotations), width))
        for row, rotation in zip(self._exponents, rotations, strict=True):
            row[columns[rotation.qubits]] = rotation.family.eigenvalues
        self._columns = [slice(c.start, c.stop) for q, c in columns.items() if len(q) > 1]
        self._shapes = [_axes(qubits, num_qubits) for qubits in self._joint]
        self._num_qubits = num_qubits

    def table(self, angles: Float64[np.ndarray, "cells A"]) -> States:
        """Return the phases of each basis state, for each row of angles [rad]."""
        count, n = len(angles), self._num_qubits
        factors = np.exp(-1j * (angles[:, self.angles] @ self._exponents))
        single = factors[:, : 2 * n].reshape(count, n, 2)
        result = single[:, 0]
        for qubit in range(1, n):
            result = (single[:, qubit, :, None] * result[:, None]).reshape(count, -1)
        for columns, (order, shape) in zip(self._columns, self._shapes, strict=True):
            cube = factors[:, columns].reshape(count, *(2,) * len(order)).transpose(0, *order)
            whole = result.reshape(count, *(2,) * n)
            result = (whole * cube.reshape(count, *shape)).reshape(count, -1)
        return np.asarray(result)


def _axes(qubits: tuple[int, ...], num_qubits: int) -> tuple[list[int], list[int]]:
    """Return order and shape of a table on some qubits, to multiply one on all qubits."""
    axes = [num_qubits - 1 - qubit for qubit in reversed(qubits)]  # the last axis is qubit 0
    order = [1 + int(place) for place in np.argsort(axes)]
    return order, [2 if axis in axes else 1 for axis in range(num_qubits)]


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
                    kept[place] = PhasesAt(group, program.num_qubits)
        self._gates = FusedGates(segments)
        self._first = self._fixed_start()

    @classmethod
    def of(cls, program: CircuitProgram, points: frozenset[int]) -> InPlaceCircuit:
        """Return the circuit, made once per program and points."""
        return program.derived(("in place", points), lambda: cls(program, points))

    def gates(self, shared: Float64[np.ndarray, " O"]) -> list[list[Placed]]:
        """Return the gates before each point, and after the last one, at shared angles [rad].

        Gates before all angles are left out, as `start` returns the state after them.
        """
        return self._gates.at(shared)

    def start(self, rows: Float64[np.ndarray, "B R"]) -> States:
        """Return the first state of each sample, or the one that all samples share."""
        if self._first is not None:
            return self._first
        assert self.program.amplitudes is not None
        return self.program.amplitudes.states(rows, self.program.num_qubits)

    def _fixed_start(self) -> States | None:
        """Return the state after all gates before the first angle; None for amplitudes."""
        if self.program.amplitudes is not None:
            return None
        state = np.zeros((1, 1 << self.program.num_qubits), dtype=np.complex128)
        state[0, 0] = 1
        return apply(state, self._gates.take_fixed_start())


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


def is_faster(amplitudes: int, rows: int = 1) -> bool:
    """Return True if a table of rows with that many amplitudes takes less time than jobs of Aer."""
    if usable_threads() == 1:
        return amplitudes <= AMPLITUDES_ON_ONE_CORE
    return amplitudes <= AMPLITUDES_IN_PLACE and rows * amplitudes <= AMPLITUDES_OF_A_TABLE


class _Cells:
    """Buffer of states, on which gates act that are the same for all states, as a context."""

    def __init__(self, states: States, *, continues: bool = False) -> None:
        blocks = 1 << (len(states) - 1).bit_length()
        self._buffer = np.zeros((blocks, states.shape[1]), dtype=np.complex128)
        self.states = self._buffer[: len(states)]
        self.states[:] = states
        self._state = BufferedState(self._buffer.reshape(-1), continues=continues)
        self.has_begun = False

    def __enter__(self) -> _Cells:
        return self

    def __exit__(self, *raised: Any) -> None:
        if self.has_begun:
            self._state.__exit__(*raised)

    def apply(self, gates: Sequence[Placed], *, always: bool = False) -> None:
        """Apply gates; Aer receives the buffer with the first ones, or ``always``."""
        if not self.has_begun and (gates or always):
            self._state.__enter__()
            self.has_begun = True
        if gates:
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
    segment, begun = 0, False
    while True:
        with _Cells(states, continues=begun) as cells:
            while True:
                is_last = segment == len(points)
                cells.apply(gates[segment], always=is_last and not begun)
                if is_last:
                    return cells.states
                grown = change(points[segment], cells.states)
                segment += 1
                if grown is not None:
                    states, begun = grown, begun or cells.has_begun
                    break


def backward(
    states: States, gates: Sequence[Sequence[Placed]], points: Sequence[int], change: Change
) -> States:
    """Return the states taken back through all segments, changed at each point on the way.

    ``gates`` has one segment more than points, as in `forward`, or one per point, so that the way
    ends at the first point.
    """
    segment, begun = len(gates), False
    while True:
        with _Cells(states, continues=begun) as cells:
            while segment:
                segment -= 1
                cells.apply(inverse(gates[segment]), always=segment == 0 and not begun)
                place = segment - len(gates) + len(points)
                if place < 0:
                    return cells.states
                joined = change(points[place], cells.states)
                if joined is not None:
                    states, begun = joined, begun or cells.has_begun
                    break
            else:
                return cells.states
