"""Physical circuits: on which qubits of a device a circuit stands, and what it measures there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridopt.circuits.instructions import qubits_of, without_measurements
from hybridopt.circuits.lowering import check_parameters, lower, lower_gates
from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class PhysicalCircuit:
    """A circuit, the device qubits that it uses, and the gates that it has there."""

    given: QuantumCircuit  # with its measurements
    circuit: QuantumCircuit  # on all qubits of the device, if there is one; without measurements
    virtual_qubits: tuple[int, ...]  # where those before transpilation end in ``circuit``
    measured: dict[int, int]  # qubit of ``circuit`` that each classical bit takes at the end
    on_device: bool  # qubits without gates are then left out of simulations
    native: frozenset[str] | None = None  # names of the gates that stay whole, with their noise
    whole: bool = True  # whether controlled gates stay in one piece where there are none such

    @property
    def is_isa(self) -> bool:
        """Whether the circuit was given transpiled."""
        return self.given.layout is not None

    @property
    def takes_device_observables(self) -> bool:
        """Whether observables name qubits of the device although the layout could be applied."""
        return self.is_isa and len(self.virtual_qubits) == self.circuit.num_qubits

    @cached_property
    def used(self) -> frozenset[int]:
        """Qubits that gates act on; with noise delays count, too."""
        idle = {"barrier"} if self.native is not None else {"barrier", "delay"}
        return frozenset(
            qubit
            for item in self.circuit.data
            if item.operation.name not in idle
            for qubit in qubits_of(self.circuit, item)
        )

    def qubits_for(self, reads: Iterable[int]) -> tuple[int, ...]:
        """Qubits of ``circuit`` that a simulation holds, ascending; those read may be idle."""
        if not self.on_device:
            return tuple(range(self.circuit.num_qubits))
        return tuple(sorted(self.used.union(reads))) or (0,)

    def lower(
        self, inputs: Sequence[Parameter], weights: Sequence[Parameter], qubits: tuple[int, ...]
    ) -> CircuitProgram:
        """The program on `qubits_for`, which the executor that placed the circuit runs as it is."""
        check_parameters(self.given, inputs, weights)
        compact = self.on(qubits)
        present = set(compact.parameters)  # transpilers drop angles that change nothing
        inputs = [parameter for parameter in inputs if parameter in present]
        weights = [parameter for parameter in weights if parameter in present]
        if self.native is None:
            return lower(compact, inputs, weights, whole=self.whole)
        lost: frozenset[str] = frozenset()
        if not self.on_device:  # the transpiler of a device may merge gates, as for hardware
            lost = names_of(self.given) - names_of(compact) - {"measure"}
        return lower_gates(compact, inputs, native=self.native, device_qubits=qubits, lost=lost)

    def on(self, qubits: tuple[int, ...]) -> QuantumCircuit:
        """The circuit on some of its qubits, which must hold all that are used."""
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
                compact.append(item.operation, held)
        return compact


def names_of(circuit: QuantumCircuit) -> frozenset[str]:
    """Names and labels of all instructions."""
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
    """A circuit as it stands on a device, or on none."""
    circuit = given if placed is None else placed
    bare, measured = without_measurements(circuit)
    measured = measured if without_measurements(given)[1] else {}
    layout, places = circuit.layout, tuple(range(given.num_qubits))
    if layout is not None:
        places = tuple(layout.final_index_layout(filter_ancillas=True))
    return PhysicalCircuit(given, bare, places, measured, layout is not None, native, whole)


def layout_applies(physical: PhysicalCircuit, what: str, num_qubits: int) -> bool:
    """Whether something on so many qubits names virtual qubits, to which the layout applies."""
    if physical.is_isa and num_qubits == physical.circuit.num_qubits:
        return False
    if num_qubits == len(physical.virtual_qubits):
        return True
    width, virtual = physical.circuit.num_qubits, len(physical.virtual_qubits)
    has = f"has {virtual}"
    if physical.is_isa:
        has = f"was transpiled from {virtual} qubits to the {width} of a device"
    raise ArgumentError(f"{what} acts on {num_qubits} qubits, but the circuit {has}.")
