"""The beginning of a circuit, for a picture of it."""

from __future__ import annotations

from dataclasses import dataclass

from qiskit import QuantumCircuit


@dataclass(frozen=True)
class Excerpt:
    """The first columns, and the first qubits, of a circuit.

    Attributes:
        circuit: What is shown.
        note: What is left out, in words; empty if nothing is.
    """

    circuit: QuantumCircuit
    note: str


def excerpt(circuit: QuantumCircuit, *, columns: int, qubits: int) -> Excerpt:
    """The gates that stand in the first columns of a drawing.

    Args:
        circuit: Any.
        columns: At most so many gates one after another.
        qubits: At most so many lines; a gate that leaves them is left out.
    """
    kept = min(qubits, circuit.num_qubits)
    shown = QuantumCircuit(kept, name=circuit.name)
    reached = [0] * circuit.num_qubits
    left_out = 0
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    for item in circuit.data:
        places = [index[qubit] for qubit in item.qubits]
        # a drawing lets no other gate stand between the lines of a gate
        span = range(min(places, default=0), max(places, default=-1) + 1)
        column = 1 + max((reached[place] for place in span), default=0)
        for place in span:
            reached[place] = column
        if column <= columns and all(place < kept for place in places):
            shown.append(item.operation, places)
        else:
            left_out += 1
    if not left_out and kept == circuit.num_qubits:
        return Excerpt(circuit, "")
    lines = "" if kept == circuit.num_qubits else f" on the first {kept} of its qubits"
    total = left_out + len(shown.data)
    return Excerpt(shown, f"its first {len(shown.data):,} of {total:,} gates{lines}")
