"""Reference values: density matrices of Aer on the whole device, built by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator

from tests.execution.devices.circuits import CIRCUITS, OBSERVABLES, VALUES, W, X
from tests.execution.devices.sources import Source, source

STEP = 1e-4  # of central differences, whose error is about STEP^2


@dataclass(frozen=True)
class Cell:
    """Source of noise, placement and circuit, by their names."""

    source: str
    placement: str | int  # ``"virtual"``, or the number of a layout
    circuit: str

    def __str__(self) -> str:
        return f"{self.source}-{self.placement}-{self.circuit}"

    @property
    def noise(self) -> Source:
        """Source of noise."""
        return source(self.source)

    @property
    def virtual(self) -> QuantumCircuit:
        """Virtual circuit, before transpilation."""
        return CIRCUITS[self.circuit]()

    @property
    def layout(self) -> tuple[int, ...] | None:
        """Layout for the transpiler; None for its own choice."""
        return None if self.placement == "virtual" else self.noise.layouts[int(self.placement)]

    def given(self, *, measured: bool = False) -> QuantumCircuit:
        """Return the circuit for hybridopt, virtual or transpiled."""
        return _given(self, measured)


@cache
def _given(cell: Cell, measured: bool) -> QuantumCircuit:
    circuit = cell.virtual.measure_all(inplace=False) if measured else cell.virtual
    if cell.placement == "virtual":
        return circuit
    return cell.noise.transpiled(circuit, cell.layout, seed=int(cell.placement))


@dataclass(frozen=True)
class Reference:
    """Expected numbers of a cell; each kind is computed when a test first asks for it."""

    cell: Cell

    @cached_property
    def values(self) -> np.ndarray:
        """Values at the base angles, shape ``(observables,)``."""
        return self._values([VALUES])[0]

    @cached_property
    def slopes(self) -> np.ndarray:
        """Derivatives of the values, shape ``(observables, x w0 w1)``."""
        moves = [(parameter, sign * STEP) for parameter in (X, *W) for sign in (1, -1)]
        values = self._values([{**VALUES, one: VALUES[one] + move} for one, move in moves])
        return ((values[::2] - values[1::2]) / (2 * STEP)).T

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities of all outcomes of the qubits of the virtual circuit."""
        placed = _as_qiskit_places_it(self.cell, measured=True)
        every = tuple((qubit, "Z") for qubit in range(self.cell.virtual.num_qubits))
        return _run(self.cell, placed, [(VALUES, every)])[0]

    def _values(self, points: Sequence[Mapping[Parameter, float]]) -> np.ndarray:
        placed = _as_qiskit_places_it(self.cell, measured=False)
        labels = OBSERVABLES[self.cell.circuit]
        tables = _run(self.cell, placed, [(p, _letters(one)) for p in points for one in labels])
        return np.array([_parity(table) for table in tables]).reshape(len(points), len(labels))


reference = cache(Reference)  # one for all tests


def _as_qiskit_places_it(cell: Cell, *, measured: bool) -> QuantumCircuit:
    if cell.placement != "virtual":
        placed = cell.given(measured=measured)
    else:
        placed = cell.noise.transpiled(cell.virtual.measure_all(inplace=False))
    bare = placed.copy_empty_like()
    bare.data = [item for item in placed.data if item.operation.name != "measure"]
    return bare


def _letters(label: str) -> tuple[tuple[int, str], ...]:
    return tuple((k, letter) for k, letter in enumerate(reversed(label)) if letter != "I")


def _run(
    cell: Cell,
    placed: QuantumCircuit,
    jobs: Sequence[tuple[Mapping[Parameter, float], Sequence[tuple[int, str]]]],
) -> list[np.ndarray]:
    """Return the probabilities of reported outcomes, for each job of angles and basis."""
    layout = placed.layout
    places = list(range(placed.num_qubits))
    if layout is not None:
        places = layout.final_index_layout(filter_ancillas=True)
    circuits, used, names = [], set(places), set()
    for values, letters in jobs:
        circuit = placed.assign_parameters(values, strict=False)
        for qubit, letter in letters:
            if letter != "Z":
                change = cell.noise.basis_change(letter, places[qubit], placed.num_qubits)
                circuit.compose(change, inplace=True)
        circuit.save_probabilities([places[qubit] for qubit, _ in letters])
        circuits.append(circuit)
        for item in circuit.data:
            if item.operation.name not in {"barrier", "save_probabilities"}:
                names.add(item.operation.name)
                used.update(circuit.find_bit(qubit).index for qubit in item.qubits)
    simulator = AerSimulator(
        method="density_matrix",
        noise_model=cell.noise.model_of(used, names),
        # truncation would omit errors of qubits that are not read, whose trace is 1 to 1e-9 only
        enable_truncation=cell.virtual.num_qubits < placed.num_qubits,
    )
    result = simulator.run(circuits).result()
    assert result.success
    return [
        _misread(
            cell.noise, np.asarray(result.data(number)["probabilities"]),
            [places[qubit] for qubit, _ in letters],
        )
        for number, (_, letters) in enumerate(jobs)
    ]  # fmt: skip


def _misread(noise: Source, probabilities: np.ndarray, qubits: Sequence[int]) -> np.ndarray:
    whole = np.ones((1, 1))
    for qubit in qubits:  # the first is the least significant
        whole = np.kron(noise.confusion(qubit), whole)
    return whole.T @ probabilities


def _parity(probabilities: np.ndarray) -> float:
    signs = np.array([(-1) ** k.bit_count() for k in range(len(probabilities))])
    return float(signs @ probabilities)
