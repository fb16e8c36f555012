"""Adjoint rule for matrix product states, by a forward and a backward run of each sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.product_states.chain import (
    AerState,
    Tensor,
    amplitudes_of,
    applied,
    overlaps,
    tensors_of,
)
from hybridopt.execution.aer.product_states.circuits import (
    FINAL,
    START,
    ReadCircuit,
    SweptCircuits,
    label,
)
from hybridopt.execution.aer.product_states.operators import weighted_sum
from hybridopt.execution.aer.simulator import Data, RunRequest, Simulator
from hybridopt.execution.aer.translation import Translation
from hybridopt.execution.executor import ForwardRecord
from hybridopt.execution.job import Outputs, Rows, Shared
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import Readout

LockType = AbstractContextManager[Any]
Cell = tuple[int, int]  # row of shared angles and sample
Slope = tuple[bool, int | slice, float | np.ndarray]  # whether per sample, angles, derivatives
CIRCUITS_PER_CALL = 64
NO_INVERSE = frozenset({"csx"})  # gates of the method whose inverses it lacks


@dataclass(frozen=True, eq=False)
class _ForwardStates:
    """States of one sample that the backward run needs."""

    final: AerState
    layers: dict[int, list[Tensor]]  # before the rotations of each layer with derivatives

    @property
    def nbytes(self) -> int:
        """Memory of all tensors."""
        pairs = (part for pair in self.final[0] for part in pair)
        tensors = (tensor for one in self.layers.values() for tensor in one)
        return sum(array.nbytes for array in (*pairs, *tensors))


class ProductStateAdjoint(ForwardRecord):
    r"""Evaluation by matrix product states, whose states before each layer are kept.

    Aer runs every sample forward and saves its state before each layer. The observable is a
    product of small tensors (`operators.py`), so that :math:`|\lambda\rangle` is a matrix product
    state, too. Aer runs it back and saves it at the same places. The matrix elements
    :math:`\mathrm{Im} \langle\lambda|D|\phi\rangle` are contractions in numpy.

    Args:
        program: Family of circuits.
        readout: Readout of each circuit.
        needs: Two flags: derivative needed for rows, for shared angles.
        limits: Memory limit of kept states.
        simulator: Simulator of matrix product states.
        translation: Translation to the gates of the method.
        lock: Lock of the executor's cost.
        truncation: Largest sum of squared Schmidt coefficients that a cut drops.
    """

    def __init__(
        self,
        program: CircuitProgram,
        readout: Readout,
        needs: tuple[bool, bool],
        limits: Limits,
        simulator: Simulator,
        translation: Translation,
        lock: LockType,
        truncation: float,
    ) -> None:
        self._program, self._readout, self._limits = program, readout, limits
        self._simulator, self._lock, self._truncation = simulator, lock, truncation
        self._circuits = program.derived(
            ("adjoint of product states", needs),
            lambda: SweptCircuits(
                program, needs, partial(translation.in_basis, without=NO_INVERSE)
            ),
        )
        self._angles: tuple[np.ndarray, np.ndarray] | None = None
        self._kept: dict[tuple[int, int], _ForwardStates] = {}

    def values(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs, and keep the states for `vjp` at the same angles if they fit."""
        self._angles, self._kept = (rows.copy(), shared.copy()), {}
        outputs = self._readout.num_outputs(self._program)
        result = np.empty((len(shared), len(rows), outputs))
        if self._readout.is_constant:  # only multiples of the identity
            result[:] = self._readout.read(self._program, [])
            return result
        free = self._limits.max_memory // 2
        reading = self._circuits.reading(self._readout, self._limits)
        with self._lock:
            self._simulator.state.start_call()
            cells = [(s, b) for s in range(len(shared)) for b in range(len(rows))]
            for cell, data in self._forward(rows, shared, cells, reading):
                result[cell] = reading.outputs(data)
                states = self._states(data)
                free -= states.nbytes
                if free >= 0:
                    self._kept[cell] = states
        return result

    def vjp(self, rows: Rows, shared: Shared, cotangent: Outputs) -> tuple[Rows, Shared]:
        """Return derivatives with respect to rows and shared angles; zeros if not needed."""
        by_rows, by_shared = np.zeros_like(rows), np.zeros_like(shared)
        if self._circuits.backward is None or self._readout.is_constant:
            return by_rows, by_shared
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        wanted = [(s, b) for s, b in np.argwhere(cotangent.any(axis=2)).tolist()]
        with self._lock:
            self._simulator.state.start_call()
            for cells in self._calls(wanted):
                states = [self._kept.get(cell) if known else None for cell in cells]
                missing = [cell for cell, one in zip(cells, states, strict=True) if one is None]
                again = dict(self._forward(rows, shared, missing))
                found = [
                    one or self._states(again[c]) for c, one in zip(cells, states, strict=True)
                ]
                for (s, b), slopes in self._back(rows, shared, cells, found, cotangent):
                    for per_sample, angles, slope in slopes:
                        (by_rows[b] if per_sample else by_shared[s])[angles] += slope
        return by_rows, by_shared

    def explain(self) -> str:
        """Return the runs of Aer and the part of numpy in words."""
        return (
            ". Aer runs each sample forward and back as a matrix product state, and saves it "
            f"before {len(self._circuits.wanted)} layers of rotations. Products of observables "
            "with the final state, and overlaps of saved states, are contractions in numpy"
        )

    def _calls(self, cells: list[Cell]) -> Iterator[list[Cell]]:
        """Yield the samples of each call; the first call measures the memory of one."""
        while cells:
            size = self._limits.max_memory // 8 // max(1, self._circuits.bytes_of_states)
            size = max(1, min(CIRCUITS_PER_CALL, size)) if self._circuits.bytes_of_states else 1
            yield cells[:size]
            cells = cells[size:]

    def _forward(
        self, rows: Rows, shared: Shared, cells: list[Cell], read: ReadCircuit | None = None
    ) -> Iterator[tuple[Cell, Data]]:
        """Run samples forward; yield their saved data."""
        circuit = self._circuits.forward if read is None else read.circuit
        settings = 0 if read is None else read.settings
        for some in self._calls(cells):
            binds = self._binds(circuit, rows, shared, some)
            request = RunRequest(circuit, settings * (1 if binds else len(some)), binds)
            (runs,) = self._simulator.submit([request])
            runs = runs if binds else runs * len(some)  # without angles, all samples are equal
            yield from zip(some, runs, strict=True)

    def _back(
        self,
        rows: Rows,
        shared: Shared,
        cells: list[Cell],
        states: list[_ForwardStates],
        cotangent: Outputs,
    ) -> Iterator[tuple[Cell, Iterator[Slope]]]:
        """Run lambda of some samples back; yield the derivatives of each sample."""
        requests, used = [], []
        circuit = self._circuits.backward
        assert circuit is not None
        for cell, state in zip(cells, states, strict=True):
            operator = weighted_sum(self._program, self._readout, cotangent[cell])
            if operator is None:
                continue
            start, norm = applied(operator, state.final, self._truncation)
            if start is None:
                continue
            requests.append(
                RunRequest(_from(start, circuit), 0, self._binds(circuit, rows, shared, [cell]))
            )
            used.append((cell, state, norm))
        data = self._simulator.submit(requests) if requests else []
        for (cell, state, norm), (saved,) in zip(used, data, strict=True):
            yield cell, self._slopes(state, saved, norm)

    def _slopes(self, state: _ForwardStates, saved: Data, norm: float) -> Iterator[Slope]:
        """Yield 2 Im <lambda|D|phi> of each rotation, and 2 Re(lambda) of amplitudes."""
        for place, rotations in self._circuits.wanted.items():
            lam = tensors_of(saved[label(place)])
            elements = overlaps(lam, state.layers[place], self._circuits.generators[place])
            for rotation, element in zip(rotations, elements.imag.tolist(), strict=True):
                yield rotation.per_sample, rotation.angle, 2 * norm * element
        amplitudes = self._program.amplitudes
        if amplitudes is not None and self._circuits.to_start:
            found = amplitudes_of(tensors_of(saved[START]), amplitudes.qubits).real
            yield True, slice(0, amplitudes.size), 2 * norm * found

    def _binds(
        self, circuit: QuantumCircuit, rows: Rows, shared: Shared, cells: list[Cell]
    ) -> dict[Parameter, list[float]]:
        """Return the angles of some samples by parameter of a circuit."""
        s, b = np.array(cells).T
        template, used = self._program.template, set(circuit.parameters)
        tables = self._program.template_angles(rows[b], shared[s])
        columns = zip((*template.rows, *template.shared), (*tables[0].T, *tables[1].T), strict=True)
        return {parameter: column.tolist() for parameter, column in columns if parameter in used}

    def _states(self, data: Data) -> _ForwardStates:
        layers = {place: tensors_of(data[label(place)]) for place in self._circuits.wanted}
        states = _ForwardStates(data[FINAL], layers)
        self._circuits.bytes_of_states = max(self._circuits.bytes_of_states, states.nbytes)
        return states


def _from(start: AerState, circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a copy of a backward circuit that begins in a state."""
    result = circuit.copy()
    # Qiskit's own instruction checks every tensor
    instruction = Instruction("set_matrix_product_state", circuit.num_qubits, 0, [start])
    result.data[0] = result.data[0].replace(operation=instruction)
    return result
