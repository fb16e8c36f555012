"""Physical circuits: circuits on the qubits of a device, and their measured qubits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridopt.circuits.instructions import qubits_of, without_measurements
from hybridopt.circuits.lowering import (
    check_parameters,
    lower,
    lower_gates,
    refuse_classical,
)
from hybridopt.circuits.observable_lines import width_error
from hybridopt.circuits.program import CircuitProgram


@dataclass(frozen=True, eq=False)
class PhysicalCircuit:
    """Circuit, the device qubits that it uses, and its native gates."""

    given: QuantumCircuit  # with its measurements
    circuit: QuantumCircuit  # on all qubits of the device, if any; without measurements
    virtual_qubits: tuple[int, ...]  # final qubit in ``circuit`` of each qubit before transpilation
    measured: dict[int, int]  # qubit of ``circuit`` that is measured into each classical bit
    on_device: bool  # if True, simulations leave out qubits without gates
    native: frozenset[str] | None = None  # names of gates that a noisy run does not decompose
    whole: bool = True  # whether an exact run keeps controlled gates

    @property
    def is_isa(self) -> bool:
        """Whether the given circuit was transpiled before."""
        return self.given.layout is not None

    @property
    def takes_device_observables(self) -> bool:
        """Whether observables act on device qubits, as the circuit uses all of the device."""
        return self.is_isa and len(self.virtual_qubits) == self.circuit.num_qubits

    @cached_property
    def used(self) -> frozenset[int]:
        """Qubits that gates act on; with noise, delays are gates."""
        idle = {"barrier"} if self.native is not None else {"barrier", "delay"}
        return frozenset(
            qubit
            for item in self.circuit.data
            if item.operation.name not in idle
            for qubit in qubits_of(self.circuit, item)
        )

    def qubits_for(self, reads: Iterable[int]) -> tuple[int, ...]:
        """Return the qubits of ``circuit`` to simulate, ascending; ``reads`` may be idle qubits."""
        if not self.on_device:
            return tuple(range(self.circuit.num_qubits))
        return tuple(sorted(self.used.union(reads))) or (0,)

    def lower(
        self, inputs: Sequence[Parameter], weights: Sequence[Parameter], qubits: tuple[int, ...]
    ) -> CircuitProgram:
        """Return the program on `qubits_for`."""
        check_parameters(self.given, inputs, weights)
        compact = self.on(qubits)
        present = set(compact.parameters)  # transpilers remove angles without effect
        inputs = [parameter for parameter in inputs if parameter in present]
        weights = [parameter for parameter in weights if parameter in present]
        if self.native is None:
            return lower(compact, inputs, weights, whole=self.whole)
        lost: frozenset[str] = frozenset()
        if not self.on_device:  # the transpiler of a device may merge gates, as for hardware
            lost = names_of(self.given) - names_of(compact) - {"measure"}
        return lower_gates(compact, inputs, native=self.native, device_qubits=qubits, lost=lost)

    def on(self, qubits: tuple[int, ...]) -> QuantumCircuit:
        """Return the circuit on some of its qubits, among them all that are used."""
        if len(qubits) == self.circuit.num_qubits:
            return self.circuit
        place = {qubit: number for number, qubit in enumerate(qubits)}
        compact = QuantumCircuit(len(qubits), global_phase=self.circuit.global_phase)
        for item in self.circuit.data:
            name = item.operation.name
            held = [place[q] for q in qubits_of(self.circuit, item) if q in place]
            if name == "barrier" and held:
                compact.barrier(held)
            elif len(held) == len(item.qubits):
                refuse_classical(item.operation, qubits_of(self.circuit, item))
                compact.append(item.operation, held)
        return compact


def names_of(circuit: QuantumCircuit) -> frozenset[str]:
    """Return names and labels of all instructions."""
    return frozenset(
        name
        for item in circuit.data
        for name in (item.operation.name, getattr(item.operation, "label", None))
        if name is not None
    )


def physical_circuit(
    given: QuantumCircuit,
    placed: QuantumCircuit | None = None,
    *,
    native: frozenset[str] | None = None,
    whole: bool = True,
) -> PhysicalCircuit:
    """Return a circuit as placed on a device, or as given without one."""
    circuit = given if placed is None else placed
    bare, measured = without_measurements(circuit)
    measured = measured if without_measurements(given)[1] else {}
    layout, places = circuit.layout, tuple(range(given.num_qubits))
    if layout is not None:
        places = tuple(layout.final_index_layout(filter_ancillas=True))
    return PhysicalCircuit(given, bare, places, measured, layout is not None, native, whole)


def layout_applies(physical: PhysicalCircuit, what: str, num_qubits: int) -> bool:
    """Return whether an observable of this width acts on virtual qubits, so the layout applies."""
    if physical.is_isa and num_qubits == physical.circuit.num_qubits:
        return False
    if num_qubits == len(physical.virtual_qubits):
        return True
    allowed = f"the {len(physical.virtual_qubits)} qubits"
    if physical.is_isa:
        allowed = (
            f"{allowed} before transpilation or the {physical.circuit.num_qubits} device qubits"
        )
    raise width_error(what, allowed, num_qubits)
