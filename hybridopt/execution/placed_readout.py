"""Readouts of physical circuits: from the qubits of the user to the simulated qubits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import PauliList, SparsePauliOp

from hybridopt.circuits.physical import PhysicalCircuit, layout_applies, physical_circuit
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.executor import Executor
from hybridopt.execution.readout import Probabilities, Readout, check_qubits


class PlacedReadout(NamedTuple):
    """Readout of a program that is lowered on some qubits of a physical circuit, ascending."""

    readout: Readout
    qubits: tuple[int, ...]


def place_circuit(executor: Executor, circuit: QuantumCircuit) -> PhysicalCircuit:
    """Return the circuit as the executor places it; without ``place`` it keeps its qubits."""
    place = getattr(executor, "place", None)
    if place is None:
        return physical_circuit(circuit, whole=executor.lowering == "whole")
    return cast(PhysicalCircuit, place(circuit))


def place_readout(physical: PhysicalCircuit, readout: Readout, *, sampled: bool) -> PlacedReadout:
    """Return the readout of the user on the qubits that are simulated."""
    # Observables act on virtual qubits, to which the layout is applied, or on the whole device.
    # `Probabilities` names qubits of the device; without names it reads the virtual qubits.
    # An idle qubit is in state 0; it is simulated only with noise, because of readout errors.
    width, layout = physical.circuit.num_qubits, list(physical.virtual_qubits)
    own = PlacedReadout(readout, tuple(range(width)))
    if isinstance(readout, Probabilities):
        if physical.measured:  # the readout then names classical bits
            measured = [physical.measured[bit] for bit in readout.qubits or ()]
            return place_probabilities(physical, measured)
        if not physical.on_device:
            return own
        every = range(width) if physical.takes_device_observables else physical.virtual_qubits
        named = [_physical_qubit(physical, qubit) for qubit in readout.qubits or ()] or every
        return place_probabilities(physical, named, readout.given)
    virtual = [
        layout_applies(physical, f"Observable {place}", observable.num_qubits)
        for place, observable in enumerate(readout.observables)
    ]
    if not physical.on_device:
        return own
    wide = [
        observable.apply_layout(layout, width) if applies else observable
        for applies, observable in zip(virtual, readout.observables, strict=True)
    ]
    reads: set[int] = set()  # idle qubits that must be simulated
    for observable in wide:
        x, z = observable.paulis.x, observable.paulis.z
        # without noise, only X and Y of an idle qubit are random
        acts = x | z if physical.native is not None else x & sampled
        reads.update(np.flatnonzero(acts.any(axis=0)).tolist())
    qubits = physical.qubits_for(reads)
    observables = tuple(_restricted(one, qubits) for one in wide)
    return PlacedReadout(replace(readout, observables=observables), qubits)


def place_probabilities(
    physical: PhysicalCircuit, qubits: Sequence[int], given: Sequence[tuple[int, int]] = ()
) -> PlacedReadout:
    """Return the readout of probabilities of qubits of the physical circuit."""
    conditions = [(_physical_qubit(physical, qubit), value) for qubit, value in given]
    named = [*qubits, *(qubit for qubit, _ in conditions)]
    check_qubits(named, physical.circuit.num_qubits)
    held = physical.qubits_for(named)
    place = {qubit: number for number, qubit in enumerate(held)}
    readout = Probabilities(
        tuple(place[qubit] for qubit in qubits),
        tuple((place[qubit], value) for qubit, value in conditions),
    )
    return PlacedReadout(readout, held)


def _physical_qubit(physical: PhysicalCircuit, qubit: int) -> int:
    """Return the device qubit of a qubit that the user named."""
    if physical.is_isa:
        return qubit
    check_qubits([qubit], len(physical.virtual_qubits))
    return physical.virtual_qubits[qubit]


def _restricted(observable: SparsePauliOp, qubits: tuple[int, ...]) -> SparsePauliOp:
    """Return the observable on some qubits, if all others are in state 0."""
    if len(qubits) == observable.num_qubits:
        return observable
    kept = np.array(qubits)
    idle = np.setdiff1d(np.arange(observable.num_qubits), kept)
    z, x = observable.paulis.z, observable.paulis.x
    stays = ~x[:, idle].any(axis=1)  # X and Y have expectation value 0 in state 0
    if not stays.any():
        return SparsePauliOp("I" * len(kept), 0)
    paulis = PauliList.from_symplectic(z[stays][:, kept], x[stays][:, kept])
    return SparsePauliOp(paulis, observable.coeffs[stays])


def explain_placement(physical: PhysicalCircuit, program: CircuitProgram) -> list[str]:
    """Return the lines about the device qubits of the circuit."""
    if not physical.on_device:
        return []
    how = "transpiled by the user" if physical.is_isa else "placed by the transpiler"
    ends = ", ".join(f"{n} on {qubit}" for n, qubit in enumerate(physical.virtual_qubits))
    lines = [f"Circuit: {how}; circuit qubits end on device qubits {ends}."]
    if program.device_qubits is None:
        lines[0] += " Idle qubits of the device are not simulated."
    if physical.takes_device_observables:
        lines.append(
            "Observables: taken as given, on the device's qubits, because the circuit has as many "
            "qubits before and after transpilation."
        )
    return lines
