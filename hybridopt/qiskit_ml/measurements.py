"""Circuits without their final measurements, and what those measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction
from qiskit.quantum_info import PauliList, SparsePauliOp

from hybridopt.errors import ArgumentError, CircuitError

NOT_GATES = frozenset({"barrier", "delay"})  # may stand after a measurement, and on idle qubits


@dataclass(frozen=True, eq=False)
class Unmeasured:
    """A circuit without measurements.

    Attributes:
        circuit: Without measurements. If a transpiler placed it on a device, also without the
            qubits of the device that no gate acts on.
        kept: For each qubit of ``circuit`` its number in the circuit as it was.
        measured: Classical bit to the qubit that it takes at the end, as numbered at first.
        given: The circuit as it was.
    """

    circuit: QuantumCircuit
    kept: tuple[int, ...]
    measured: dict[int, int]
    given: QuantumCircuit

    @property
    def place(self) -> dict[int, int]:
        """Qubit of the circuit as it was, to its number in ``circuit``."""
        return {qubit: place for place, qubit in enumerate(self.kept)}

    def observable(self, observable: SparsePauliOp) -> SparsePauliOp:
        """The same expectation value on the qubits that are left; the others are in state 0.

        Raises:
            ArgumentError: If it acts on another number of qubits.
        """
        if observable.num_qubits != self.given.num_qubits:
            raise ArgumentError(
                f"Observable {observable.paulis} acts on {observable.num_qubits} qubits, but the "
                f"circuit has {self.given.num_qubits}. Pad its Pauli strings with I, or use "
                "`observable.apply_layout(circuit.layout)`."
            )
        if len(self.kept) == self.given.num_qubits:
            return observable
        kept = np.array(self.kept)
        idle = np.setdiff1d(np.arange(self.given.num_qubits), kept)
        z, x = observable.paulis.z, observable.paulis.x
        stays = ~x[:, idle].any(axis=1)  # X and Y have expectation value 0 in state 0
        if not stays.any():
            return SparsePauliOp("I" * len(kept), 0)
        paulis = PauliList.from_symplectic(z[stays][:, kept], x[stays][:, kept])
        return SparsePauliOp(paulis, observable.coeffs[stays])


def without_measurements(circuit: QuantumCircuit) -> Unmeasured:
    """Take out the measurements at the end.

    Raises:
        CircuitError: If a gate follows a measurement of its qubit.
    """
    measured = _measured(circuit)
    bare = circuit.copy_empty_like()
    bare.data = [item for item in circuit.data if item.operation.name != "measure"]
    if circuit.layout is None:
        return Unmeasured(bare, tuple(range(circuit.num_qubits)), measured, circuit)
    kept = _qubits_in_use(bare)
    return Unmeasured(_on_fewer_qubits(bare, kept), kept, measured, circuit)


def _measured(circuit: QuantumCircuit) -> dict[int, int]:
    measured: dict[int, int] = {}
    later: dict[int, str] = {}
    for item in reversed(circuit.data):
        qubits = _numbers(circuit, item)
        name = item.operation.name
        if name == "measure":
            _refuse_gate_after(qubits[0], later)
            bit = circuit.find_bit(item.clbits[0]).index
            measured.setdefault(bit, qubits[0])  # an earlier value of the bit is overwritten
        elif name not in NOT_GATES:
            later.update(dict.fromkeys(qubits, name))
    return measured


def _refuse_gate_after(qubit: int, later: dict[int, str]) -> None:
    if qubit in later:
        raise CircuitError(
            f"Instruction `measure` on qubit {qubit} is a mid-circuit measurement: "
            f"`{later[qubit]}` follows it. It has no gradient; measure at the end."
        )


def _qubits_in_use(circuit: QuantumCircuit) -> tuple[int, ...]:
    used = {
        qubit
        for item in circuit.data
        if item.operation.name not in NOT_GATES
        for qubit in _numbers(circuit, item)
    }
    return tuple(sorted(used)) or (0,)


def _on_fewer_qubits(circuit: QuantumCircuit, kept: tuple[int, ...]) -> QuantumCircuit:
    place = {qubit: number for number, qubit in enumerate(kept)}
    fewer = QuantumCircuit(len(kept), global_phase=circuit.global_phase)
    fewer.add_bits(circuit.clbits)
    for item in circuit.data:
        if item.operation.name not in NOT_GATES:
            qubits = [place[qubit] for qubit in _numbers(circuit, item)]
            fewer.append(item.operation, qubits, item.clbits)
    return fewer


def _numbers(circuit: QuantumCircuit, item: CircuitInstruction) -> list[int]:
    return [circuit.find_bit(qubit).index for qubit in item.qubits]
