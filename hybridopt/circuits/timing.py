"""Boxes and delays: instructions whose timing matters where there is noise."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import BoxOp, Delay, ParameterExpression

from hybridopt.circuits.measurements import qubits_of
from hybridopt.errors import CircuitError


def without_boxes(circuit: QuantumCircuit) -> QuantumCircuit:
    """Replace boxes by their contents between barriers, over which nothing is moved.

    Raises:
        CircuitError: If a box has a duration: it asks for delays that only a scheduler can place.
    """
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
                f"A `box` has the duration {box.duration} {box.unit}, which a noisy run would have "
                "to fill with delays. Schedule the circuit first, or leave the duration out."
            )
        flat.barrier(item.qubits)
        flat.compose(
            without_boxes(box.blocks[0]), item.qubits, item.clbits, inplace=True, copy=False
        )
        flat.barrier(item.qubits)
    return flat


def refuse_stretches(circuit: QuantumCircuit) -> None:
    """Refuse delays of unknown duration, which matter where there is noise.

    Raises:
        CircuitError: With the qubit.
    """
    for item in circuit.data:
        if isinstance(item.operation, Delay) and is_stretch(item.operation):
            (qubit,) = qubits_of(circuit, item)
            raise CircuitError(
                f"The `delay` on qubit {qubit} has a stretch as its duration, which is known only "
                "once the circuit is scheduled. Give it a number, or simulate without noise."
            )


def is_stretch(delay: Delay) -> bool:
    """Whether the duration of a delay is known only once the circuit is scheduled."""
    return not isinstance(delay.params[0], int | float | np.number | ParameterExpression)
