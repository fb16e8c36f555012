"""Circuits without their final measurements, and what those measured."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction

from hybridopt.errors import CircuitError

NOT_GATES = frozenset({"barrier", "delay"})  # may stand after a measurement, and on idle qubits


def without_measurements(circuit: QuantumCircuit) -> tuple[QuantumCircuit, dict[int, int]]:
    """Take out the measurements at the end.

    Returns:
        The circuit without them, and for each classical bit that is measured into the qubit that
        it takes at the end.

    Raises:
        CircuitError: If a gate follows a measurement of its qubit.
    """
    measured = _measured(circuit)
    if not measured:
        return circuit, measured
    bare = circuit.copy_empty_like()
    bare.data = [item for item in circuit.data if item.operation.name != "measure"]
    return bare, measured


def qubits_of(circuit: QuantumCircuit, item: CircuitInstruction) -> tuple[int, ...]:
    """Numbers of the qubits of an instruction."""
    return tuple(circuit.find_bit(qubit).index for qubit in item.qubits)


def _measured(circuit: QuantumCircuit) -> dict[int, int]:
    measured: dict[int, int] = {}
    later: dict[int, str] = {}
    for item in reversed(circuit.data):
        qubits = qubits_of(circuit, item)
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
