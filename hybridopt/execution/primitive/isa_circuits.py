"""Circuits in the gates and on the qubits of a device, transpiled once per program."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64, Int64
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.circuit.library import HGate, SdgGate
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator

from hybridopt.circuits.amplitudes import fresh_start
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.instructions import (
    qubits_of,
    refuse_stretches,
    without_boxes,
    without_measurements,
)
from hybridopt.circuits.physical import PhysicalCircuit, names_of, physical_circuit
from hybridopt.circuits.program import GOLDEN, Program, fingerprint_of, template_of
from hybridopt.execution.aer.translation import NOT_BOUND_BY_AER
from hybridopt.execution.noise import Noise
from hybridopt.execution.readout import Setting
from hybridopt.execution.transpilation import basis_change_for, check_width

MOST_CIRCUITS = 256  # that are kept
REGISTER = "readout"  # classical register of the outcomes
Made = TypeVar("Made")
Table = Float64[np.ndarray, "cells angles"]


@dataclass(frozen=True, eq=False)
class IsaCircuit:
    """Circuit that a primitive runs, without measurements."""

    circuit: QuantumCircuit
    places: tuple[int, ...]  # per qubit of the program, the qubit of ``circuit``
    columns: Int64[np.ndarray, " parameters"]  # of the table of angles, in the circuit's order
    kept: dict[Setting, QuantumCircuit] = field(default_factory=dict)  # with measurements

    @cached_property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal circuits, in all processes."""
        return digest("isa", _bound(self.circuit), self.places, self.columns)

    def values(self, table: Table) -> Table | None:
        """Return the values of the parameters; None if the circuit has no parameters."""
        return table[:, self.columns] if len(self.columns) else None

    def observable(self, observable: SparsePauliOp) -> SparsePauliOp:
        """Return an observable of the program on the qubits of the circuit."""
        width = self.circuit.num_qubits
        if self.places == tuple(range(width)):
            return observable
        return observable.apply_layout(list(self.places), width)


class IsaCircuits:
    """Circuits of programs for one device, with a cache."""

    def __init__(self, backend: BackendV2 | None, pass_manager: Any, *, compact: bool) -> None:
        self.backend = backend
        self._manager = pass_manager
        self._compact = compact  # without idle qubits, for simulators without a device
        # by fingerprint, because copies of a network have programs and circuits of their own
        self._kept: OrderedDict[str, IsaCircuit] = OrderedDict()
        self._placed: OrderedDict[object, PhysicalCircuit] = OrderedDict()

    def __deepcopy__(self, memo: dict[int, Any]) -> IsaCircuits:
        return self  # with its circuits

    def __getstate__(self) -> dict[str, object]:
        made_again: dict[str, object] = {"_kept": OrderedDict(), "_placed": OrderedDict()}
        kept = {key: value for key, value in self.__dict__.items() if key != "manager"}
        return {**kept, **made_again}

    @cached_property
    def manager(self) -> Any:
        """Pass manager; None without a device and without one of the user."""
        if self._manager is not None or self.backend is None:
            return self._manager
        return generate_preset_pass_manager(1, backend=self.backend, seed_transpiler=0)

    def place(self, circuit: QuantumCircuit) -> PhysicalCircuit:
        """Return a circuit of the user on the qubits and in the gates of the device."""
        flat = without_boxes(fresh_start(circuit).circuit)
        if fresh_start(circuit).amplitudes is not None or self.manager is None:
            return physical_circuit(circuit, whole=False)
        refuse_stretches(flat)
        if circuit.layout is not None:  # transpiled by the user
            if self.backend is not None:
                Noise(None, self.backend).check_isa(flat)
            return physical_circuit(circuit, native=self._native(circuit))
        self.check_width(circuit.num_qubits)
        if isinstance(self.backend, AerSimulator) and self.backend.coupling_map is None:
            return physical_circuit(circuit, whole=False)

        def transpiled() -> PhysicalCircuit:
            placed = self._transpiled(flat)
            return physical_circuit(circuit, placed, native=self._native(placed))

        return _cached(self._placed, _key_of(flat), transpiled)

    def of(self, program: Program) -> IsaCircuit:
        """Return the circuit of a program with free angles, transpiled once."""
        return _cached(self._kept, fingerprint_of(program), lambda: self._isa(program))

    def _isa(self, program: Program) -> IsaCircuit:
        template = template_of(program)
        assert template is not None
        parameters = [*template.rows, *template.shared]
        column = {parameter: place for place, parameter in enumerate(parameters)}
        given = getattr(program, "device_qubits", None)
        circuit, places = self._on_device(template.circuit, given)
        columns = np.array([column[one] for one in circuit.parameters], dtype=np.int64)
        return IsaCircuit(circuit, places, columns)

    def bound(self, program: Program, rows: Table, shared: Table) -> Iterator[IsaCircuit]:
        """Yield the circuits of a program that builds one per cell of the table."""
        given = getattr(program, "device_qubits", None)
        for row, angles in zip(rows, shared, strict=True):
            placed = self._on_device(program.bind(row, angles), given)
            yield IsaCircuit(*placed, np.zeros(0, dtype=np.int64))

    def measured(self, isa: IsaCircuit, setting: Setting) -> QuantumCircuit:
        """Return a circuit with the change of basis and the measurements of a setting."""
        if setting not in isa.kept:
            circuit = isa.circuit.copy()
            for qubit, letter in setting.basis:
                place = isa.places[qubit]
                for gate in self._basis_change(letter, place):
                    circuit.append(gate, [place])
            register = ClassicalRegister(len(setting.qubits), REGISTER)
            circuit.add_register(register)
            circuit.measure([isa.places[qubit] for qubit in setting.qubits], register)
            isa.kept[setting] = circuit
        return isa.kept[setting]

    def check_width(self, num_qubits: int) -> None:
        """Raise UnsupportedError for more qubits than the device has."""
        check_width(num_qubits, self.backend, str(self))

    def __str__(self) -> str:
        return "the primitive" if self.backend is None else str(self.backend.name)

    def _basis_change(self, letter: str, place: int) -> Sequence[Instruction]:
        """Return the gates before a measurement of X or Y, which then measures Z."""
        if self.backend is None:
            return (SdgGate(), HGate()) if letter == "Y" else (HGate(),)
        return basis_change_for(letter, place, self.backend, frozenset(), str(self))

    def _on_device(
        self, circuit: QuantumCircuit, given: tuple[int, ...] | None
    ) -> tuple[QuantumCircuit, tuple[int, ...]]:
        """Return a circuit on device qubits, which are given or chosen by the pass manager."""
        every = tuple(range(circuit.num_qubits))
        if given is not None:
            if self._compact:
                return circuit, every
            width = max(given) + 1 if self.backend is None else self.backend.num_qubits
            wide = QuantumCircuit(width)
            wide.compose(circuit, list(given), inplace=True)
            return wide, given
        if self.manager is None:
            return circuit, every
        placed = self._transpiled(circuit)
        places = every
        if placed.layout is not None:
            places = tuple(placed.layout.final_index_layout(filter_ancillas=True))
        return without_registers(without_measurements(placed)[0]), places

    def _transpiled(self, circuit: QuantumCircuit) -> QuantumCircuit:
        has_measurements = "measure" in circuit.count_ops()
        measured = circuit if has_measurements else circuit.measure_all(inplace=False)
        try:
            return self.manager.run(measured)
        except QiskitError as error:
            raise CircuitError(
                f"The circuit cannot be written in the gates of {self}: {error}. Check the "
                "`pass_manager`, or use other gates."
            ) from error

    def _native(self, placed: QuantumCircuit) -> frozenset[str]:
        """Return the gates of a transpiled circuit that are not decomposed."""
        names = names_of(placed)
        # Aer's own primitives bind tables of angles, in some gates without effect
        return names - NOT_BOUND_BY_AER if isinstance(self.backend, AerSimulator) else names


def _bound(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit at angles of which no two are equal, for its fingerprint."""
    angles = np.arange(1, len(circuit.parameters) + 1) * GOLDEN % 1
    return circuit.assign_parameters(angles) if len(angles) else circuit


def _key_of(circuit: QuantumCircuit) -> object:
    """Return what identifies a circuit and its parameters; another object each time if nothing."""
    try:
        content = digest("circuit", _bound(circuit))
    except CircuitError:  # such as classical control, which is refused later
        return object()
    return content, tuple(circuit.parameters)


def _cached(kept: OrderedDict[Any, Made], key: object, make: Callable[[], Made]) -> Made:
    """Return a cached value; the oldest ones are forgotten."""
    if key not in kept:
        kept[key] = make()
        while len(kept) > MOST_CIRCUITS:
            kept.popitem(last=False)
    return kept[key]


def without_registers(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit without classical bits on the same qubits."""
    bare = QuantumCircuit(circuit.num_qubits, global_phase=circuit.global_phase)
    for item in circuit.data:
        bare.append(item.operation, qubits_of(circuit, item), copy=False)
    return bare
