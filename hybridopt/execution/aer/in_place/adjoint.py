"""Adjoint rule in place, in numpy and with gates of Aer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64

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
from hybridopt.execution.aer.marginals import eigenvalue_sums
from hybridopt.execution.aer.observable_action import ObservableAction
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.job import Outputs, Rows, Shared
from hybridopt.execution.memory_budget import BYTES_PER_ADJOINT_AMPLITUDE, BYTES_PER_COMPLEX, Limits
from hybridopt.execution.readout import Readout

LockType = AbstractContextManager[Any]
AMPLITUDES_OF_COTANGENTS = 1 << 15  # of one buffer
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
        self,
        phi: States,
        lam: Complex128[np.ndarray, "E b dim"],
        by_rows: Float64[np.ndarray, "E B R"],
        by_shared: Float64[np.ndarray, "E O"],
    ) -> None:
        """Add the derivatives for E cotangents to those of rows and shared angles."""
        if self.per_sample:
            product = _imaginary_product(lam, phi)
            sums = self._sums(product.reshape(-1, phi.shape[1]), 1)
            by_rows[:, :, self.angles[1]] += 2 * sums.reshape(*product.shape[:2], -1)
            summed = product.sum(axis=1)
        else:
            summed = _summed_product(lam, phi)
        if self.shared:
            by_shared[:, self.angles[0]] += 2 * self._sums(summed, 0)

    def _sums(self, product: Float64[np.ndarray, "N dim"], kind: int) -> Float64[np.ndarray, "N J"]:
        table = self._tables[kind]
        if table is not None:
            return np.asarray(product @ table)
        return eigenvalue_sums(product, self.per_sample if kind else self.shared)


def _eigenvalues(rotations: list[Rotation], num_qubits: int) -> Float64[np.ndarray, "dim J"]:
    index = np.arange(1 << num_qubits)
    columns = []
    for rotation in rotations:
        local = sum(((index >> q) & 1) << place for place, q in enumerate(rotation.qubits))
        columns.append(rotation.family.eigenvalues[local])
    return np.stack(columns, axis=1)


def _imaginary_product(
    lam: Complex128[np.ndarray, "E b dim"], phi: States
) -> Float64[np.ndarray, "E b dim"]:
    """Return Im(conj(lambda) phi)."""
    product = lam.real * phi.imag
    product -= lam.imag * phi.real
    return np.asarray(product)


def _summed_product(
    lam: Complex128[np.ndarray, "E b dim"], phi: States
) -> Float64[np.ndarray, "E dim"]:
    """Return the sum of Im(conj(lambda) phi) over the samples."""
    if len(phi) == 1:
        return _imaginary_product(lam, phi)[:, 0]
    return np.asarray(np.einsum("ebd,bd->ed", lam.conj(), phi).imag)


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
        by_rows, by_shared = self.vjps(rows, shared, cotangent[None])
        return by_rows[0], by_shared[0]

    def vjps(
        self, rows: Rows, shared: Shared, cotangents: Float64[np.ndarray, "E S B K"]
    ) -> tuple[Float64[np.ndarray, "E B R"], Float64[np.ndarray, "E S O"]]:
        """Return derivatives for E cotangents; one buffer holds lambda of several ones."""
        by_rows = np.zeros((len(cotangents), *rows.shape))
        by_shared = np.zeros((len(cotangents), *shared.shape))
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        size, runs = max(1, AMPLITUDES_OF_COTANGENTS // (len(rows) << self._program.num_qubits)), 0
        for s in range(len(shared)) if self._needed.slopes or self._needed.to_start else ():
            wanted = np.flatnonzero(cotangents[:, s].any(axis=(1, 2)))
            if not wanted.size:
                continue
            states = self._kept[s] if known else self._forward(rows, shared[s])
            runs += not known
            for first in range(0, len(wanted), size):
                some = wanted[first : first + size]
                found = self._back(states, rows, cotangents[some, s])
                by_rows[some] += found[0]
                by_shared[some, s] += found[1]
                runs += 1
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
        self, states: _Forward, rows: Rows, weights: Float64[np.ndarray, "E B K"]
    ) -> tuple[Float64[np.ndarray, "E B R"], Float64[np.ndarray, "E O"]]:
        """Take lambda back, and return the derivatives for E cotangents."""
        needed, circuit, copies = self._needed, self._needed.circuit, len(weights)
        by_rows = np.zeros((copies, *rows.shape))
        by_shared = np.zeros((copies, circuit.program.num_shared_angles))
        if len(states.final) < len(rows):  # one state for all samples
            weights = weights.sum(axis=1, keepdims=True)
        points, gates = circuit.points, states.gates
        if not needed.to_start:
            first = points.index(min(needed.slopes))
            points, gates = points[first:], gates[first + 1 :]

        def change(point: int, lam: States) -> States | None:
            each = lam.reshape(copies, -1, lam.shape[1])
            if point in needed.slopes:
                needed.slopes[point].add(states.saved[point], each, by_rows, by_shared)
            phases = circuit.per_sample.get(point)
            if phases is None or (point == points[0] and not needed.to_start):
                return None
            each *= phases.table(rows).conj()
            shared_before = phases is next(iter(circuit.per_sample.values()))
            if shared_before and circuit.program.amplitudes is None and len(rows) > 1:
                return np.asarray(each.sum(axis=1))
            return None

        lam = np.concatenate([self._act(one, states.final) for one in weights])
        start = backward(lam, gates, points, change)
        if needed.to_start:
            assert circuit.program.amplitudes is not None
            places = circuit.program.amplitudes.places()
            each = start.reshape(copies, -1, start.shape[1])
            by_rows[:, :, : len(places)] += 2 * each[:, :, places].real
        return by_rows, by_shared
