"""Instructions other than gates: final measurements, boxes, delays and stretches."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import BoxOp, CircuitInstruction, Delay, ParameterExpression

from hybridopt.circuits.errors import CircuitError

NOT_GATES = frozenset({"barrier", "delay"})  # allowed after a measurement and on idle qubits


def without_measurements(circuit: QuantumCircuit) -> tuple[QuantumCircuit, dict[int, int]]:
    """Remove the final measurements; also return the measured qubit of each classical bit."""
    measured: dict[int, int] = {}
    later: dict[int, str] = {}
    for item in reversed(circuit.data):
        qubits = qubits_of(circuit, item)
        name = item.operation.name
        if name == "measure":
            if qubits[0] in later:
                raise CircuitError(
                    f"Instruction `measure` on qubit {qubits[0]} must be at the end of the circuit "
                    f"(got `{later[qubits[0]]}` after it). A mid-circuit measurement has no "
                    "gradient."
                )
            bit = circuit.find_bit(item.clbits[0]).index
            measured.setdefault(bit, qubits[0])  # an earlier value of the bit is overwritten
        elif name not in NOT_GATES:
            later.update(dict.fromkeys(qubits, name))
    if not measured:
        return circuit, measured
    bare = circuit.copy_empty_like()
    bare.data = [item for item in circuit.data if item.operation.name != "measure"]
    return bare, measured


def qubits_of(circuit: QuantumCircuit, item: CircuitInstruction) -> tuple[int, ...]:
    """Return the indices of the qubits of an instruction."""
    return tuple(circuit.find_bit(qubit).index for qubit in item.qubits)


def without_boxes(circuit: QuantumCircuit) -> QuantumCircuit:
    """Replace boxes by their contents between barriers."""
    if not any(isinstance(item.operation, BoxOp) for item in circuit.data):
        return circuit
    flat = circuit.copy_empty_like()
    for item in circuit.data:
        box = item.operation
        if not isinstance(box, BoxOp):
            flat.append(item)
            continue
        if box.duration is not None:
            raise CircuitError(
                f"A `box` must have no duration (got {box.duration} {box.unit}). A noisy run "
                "would need delays to fill it. Schedule the circuit first."
            )
        flat.barrier(item.qubits)
        block = without_boxes(box.blocks[0])
        flat.compose(block, item.qubits, item.clbits, inplace=True, copy=False)
        flat.barrier(item.qubits)
    return flat


def refuse_stretches(circuit: QuantumCircuit) -> None:
    """Raise CircuitError for a delay of unknown duration, which matters with noise."""
    for item in circuit.data:
        if isinstance(item.operation, Delay) and is_stretch(item.operation):
            (qubit,) = qubits_of(circuit, item)
            raise CircuitError(
                f"The `delay` on qubit {qubit} must have a number as its duration (got a stretch). "
                "Schedule the circuit first, or simulate without noise."
            )


def is_stretch(delay: Delay) -> bool:
    """Return whether the duration of a delay is unknown before the circuit is scheduled."""
    return not isinstance(delay.params[0], int | float | np.number | ParameterExpression)
