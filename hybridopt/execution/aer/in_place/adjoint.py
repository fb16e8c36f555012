"""Adjoint rule in place, in numpy and with gates of Aer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import Rotation
from hybridopt.execution.aer.in_place.circuit import (
    InPlaceCircuit,
    States,
    backward,
    forward,
    is_faster,
    layers_with_row_angles,
)
from hybridopt.execution.aer.in_place.reading import exact_outputs
from hybridopt.execution.aer.in_place.state import Placed
from hybridopt.execution.aer.marginals import marginal
from hybridopt.execution.aer.observable_action import ObservableAction
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.job import Outputs, Rows, Shared
from hybridopt.execution.memory_budget import BYTES_PER_ADJOINT_AMPLITUDE, BYTES_PER_COMPLEX, Limits
from hybridopt.execution.readout import Readout

LockType = AbstractContextManager[Any]
LARGEST_TABLE = 1 << 18  # numbers of a table of eigenvalues; larger products are summed by qubit


@dataclass(frozen=True, eq=False)
class _Forward:
    gates: list[list[Placed]]
    final: States  # one per sample, or one for all
    saved: dict[int, States]  # at the points of wanted layers, after the phases of samples


class _Slopes:
    """Derivatives of the rotations of one layer from Im(conj(lambda) phi) in their frames."""

    def __init__(self, rotations: list[Rotation], num_qubits: int) -> None:
        groups: tuple[list[Rotation], list[Rotation]] = ([], [])
        for rotation in rotations:
            groups[rotation.per_sample].append(rotation)
        self.shared, self.per_sample = groups
        self.angles = [[rotation.angle for rotation in group] for group in groups]
        small = len(rotations) << num_qubits <= LARGEST_TABLE
        self._tables = [_eigenvalues(g, num_qubits) if small and g else None for g in groups]

    def add(
        self, phi: States, lam: States, by_rows: Rows, by_shared: Float64[np.ndarray, " O"]
    ) -> None:
        """Add the derivatives to those of rows and shared angles."""
        if self.per_sample:
            product = _imaginary_product(lam, phi)
            by_rows[:, self.angles[1]] += 2 * self._sums(product, 1)
            summed = product.sum(axis=0, keepdims=True)
        else:
            summed = _summed_product(lam, phi)
        if self.shared:
            by_shared[self.angles[0]] += 2 * self._sums(summed, 0)[0]

    def _sums(self, product: Float64[np.ndarray, "N dim"], kind: int) -> Float64[np.ndarray, "N J"]:
        table = self._tables[kind]
        if table is not None:
            return np.asarray(product @ table)
        group = self.per_sample if kind else self.shared
        columns = [marginal(product, r.qubits) @ r.family.eigenvalues for r in group]
        return np.stack(columns, axis=1)


def _eigenvalues(rotations: list[Rotation], num_qubits: int) -> Float64[np.ndarray, "dim J"]:
    index = np.arange(1 << num_qubits)
    columns = []
    for rotation in rotations:
        local = sum(((index >> q) & 1) << place for place, q in enumerate(rotation.qubits))
        columns.append(rotation.family.eigenvalues[local])
    return np.stack(columns, axis=1)


def _imaginary_product(lam: States, phi: States) -> Float64[np.ndarray, "B dim"]:
    """Return Im(conj(lambda) phi)."""
    product = lam.real * phi.imag
    product -= lam.imag * phi.real
    return np.asarray(product)


def _summed_product(lam: States, phi: States) -> Float64[np.ndarray, "1 dim"]:
    """Return the sum of Im(conj(lambda) phi) over the samples."""
    if len(lam) == 1:
        return _imaginary_product(lam, phi)
    return np.asarray(np.einsum("bd,bd->d", lam.conj(), phi).imag[None])


@dataclass(frozen=True, eq=False)
class _Needed:
    """Circuit with points where derivatives are read."""

    circuit: InPlaceCircuit
    slopes: dict[int, _Slopes]  # by layer
    to_start: bool  # whether derivatives of amplitudes are needed

    @classmethod
    def of(cls, program: CircuitProgram, needs: tuple[bool, bool]) -> _Needed:
        def build() -> _Needed:
            slopes = {
                place: _Slopes(rotations, program.num_qubits)
                for place, layer in enumerate(program.layers)
                if (rotations := [r for r in layer.rotations if needs[0 if r.per_sample else 1]])
            }
            points = layers_with_row_angles(program).union(slopes)
            to_start = needs[0] and program.amplitudes is not None
            return cls(InPlaceCircuit.of(program, points), slopes, to_start)

        return program.derived(("adjoint in place", needs), build)


class InPlaceAdjoint:
    """Values and vector-Jacobian products of samples that fit into one buffer."""

    def __init__(
        self,
        program: CircuitProgram,
        readout: Readout,
        needs: tuple[bool, bool],
        limits: Limits,
        simulator: Simulator,
        lock: LockType,
        *,
        always: bool = False,
    ) -> None:
        self._program, self._readout, self._limits = program, readout, limits
        self._simulator, self._lock, self._always = simulator, lock, always
        self._needed = _Needed.of(program, needs)
        self._act = ObservableAction.of(program, readout, limits)
        self._angles: tuple[np.ndarray, np.ndarray] | None = None
        self._kept: list[_Forward] = []

    def fits(self, rows: Rows, shared: Shared) -> bool:
        """Return True if this is faster (or ``always``), and the states fit into memory."""
        amplitudes = len(rows) << self._program.num_qubits
        kept = 2 * len(shared) * amplitudes * (len(self._needed.slopes) + 1)  # buffers are padded
        needed = BYTES_PER_COMPLEX * kept + BYTES_PER_ADJOINT_AMPLITUDE * amplitudes
        within = needed <= self._limits.max_memory // 2
        return within and amplitudes > 0 and (self._always or is_faster(amplitudes))

    def values(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs, and keep the states for `vjp` at the same angles."""
        self._angles = (rows.copy(), shared.copy())
        self._kept = [self._forward(rows, one) for one in shared]
        self._count(len(shared) * len(rows), len(shared))
        outputs = self._readout.num_outputs(self._program)
        result = np.empty((len(shared), len(rows), outputs))
        for place, kept in enumerate(self._kept):
            result[place] = exact_outputs(self._program, self._readout, kept.final, self._limits)
        return result

    def vjp(self, rows: Rows, shared: Shared, cotangent: Outputs) -> tuple[Rows, Shared]:
        """Return derivatives with respect to rows and shared angles; zeros if not needed."""
        by_rows, by_shared = np.zeros_like(rows), np.zeros_like(shared)
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        runs = 0
        if self._needed.slopes or self._needed.to_start:
            for s in np.flatnonzero(cotangent.any(axis=(1, 2))):
                states = self._kept[s] if known else self._forward(rows, shared[s])
                self._back(states, rows, cotangent[s], by_rows, by_shared[s])
                runs += 1 if known else 2
        self._count(0, runs)
        return by_rows, by_shared

    def _count(self, circuits: int, runs: int) -> None:
        with self._lock:
            self._simulator.count_in_place(self._readout, circuits, runs)

    def _forward(self, rows: Rows, shared: Float64[np.ndarray, " O"]) -> _Forward:
        needed, circuit = self._needed, self._needed.circuit
        gates = circuit.gates(shared)
        saved: dict[int, States] = {}

        def change(point: int, states: States) -> States | None:
            phases, grown = circuit.per_sample.get(point), None
            if phases is not None:
                if len(states) < len(rows):
                    states = grown = states * phases.table(rows)
                else:
                    states *= phases.table(rows)
            if point in needed.slopes:
                saved[point] = states if grown is not None else states.copy()
            return grown

        final = forward(circuit.start(rows), gates, circuit.points, change)
        return _Forward(gates, final, saved)

    def _back(
        self,
        states: _Forward,
        rows: Rows,
        weights: Float64[np.ndarray, "B K"],
        by_rows: Rows,
        by_shared: Float64[np.ndarray, " O"],
    ) -> None:
        """Take lambda back, and add the derivatives."""
        needed, circuit = self._needed, self._needed.circuit
        if len(states.final) < len(weights):  # one state for all samples
            weights = weights.sum(axis=0, keepdims=True)
        points, gates = circuit.points, states.gates
        if not needed.to_start:
            first = points.index(min(needed.slopes))
            points, gates = points[first:], gates[first + 1 :]

        def change(point: int, lam: States) -> States | None:
            if point in needed.slopes:
                needed.slopes[point].add(states.saved[point], lam, by_rows, by_shared)
            phases = circuit.per_sample.get(point)
            if phases is None or (point == points[0] and not needed.to_start):
                return None
            lam *= phases.table(rows).conj()
            shared_before = phases is next(iter(circuit.per_sample.values()))
            if shared_before and circuit.program.amplitudes is None and len(lam) > 1:
                return np.asarray(lam.sum(axis=0, keepdims=True))
            return None

        start = backward(self._act(weights, states.final), gates, points, change)
        if needed.to_start:
            assert circuit.program.amplitudes is not None
            places = circuit.program.amplitudes.places()
            by_rows[:, : len(places)] += 2 * start[:, places].real
