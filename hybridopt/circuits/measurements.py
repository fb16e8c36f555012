"""Removal of final measurements, and of resets of fresh qubits, from a circuit."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, ControlFlowOp, Qubit

from hybridopt.circuits.errors import CircuitError

IDLE = frozenset({"barrier", "delay"})  # instructions that may follow a measurement


def strip_measurements(
    circuit: QuantumCircuit, name: str
) -> tuple[QuantumCircuit, list[Qubit] | None]:
    """Return a circuit without its final measurements, and the measured qubits.

    Args:
        circuit: Any circuit.
        name: Name of the circuit in errors.

    Returns:
        The circuit without classical bits, and the measured qubits in the order of their classical
        bits, or None if nothing is measured.

    Raises:
        CircuitError: If a gate follows a measurement of its qubit, if an instruction depends on
            an outcome, or if a used qubit is reset.
    """
    result = QuantumCircuit(circuit.qubits, name=circuit.name, global_phase=circuit.global_phase)
    for register in circuit.qregs:
        result.add_register(register)
    result.metadata = circuit.metadata
    outcomes: dict[Clbit, Qubit] = {}
    used: set[Qubit] = set()
    measured: set[Qubit] = set()
    for item in circuit.data:
        kind, qubits = item.operation.name, item.qubits
        if kind == "measure":
            outcomes[item.clbits[0]] = qubits[0]
            measured.add(qubits[0])
            continue
        is_conditional = isinstance(item.operation, ControlFlowOp) and kind != "box"
        if is_conditional or item.clbits:
            raise CircuitError(
                f"{name}: `{kind}` uses classical bits. Such instructions have no gradient."
            )
        if kind == "reset" and qubits[0] not in used | measured:
            continue
        if kind == "reset":
            place = circuit.find_bit(qubits[0]).index
            raise CircuitError(
                f"{name}: `reset` of qubit {place} after gates has no unitary. Use a fresh qubit."
            )
        if kind not in IDLE and not measured.isdisjoint(qubits):
            place = next(circuit.find_bit(qubit).index for qubit in qubits if qubit in measured)
            raise CircuitError(
                f"{name}: `{kind}` follows the measurement of its qubit {place}. Mid-circuit "
                "measurements have no gradient; only final measurements are supported."
            )
        if kind not in IDLE:
            used.update(qubits)
        result._append(item)
    ordered = [outcomes[bit] for bit in circuit.clbits if bit in outcomes]
    return result, ordered or None
