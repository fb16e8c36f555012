"""Digests of circuits that are equal in all processes, also in later ones.

Bytes of QPY contain random identifiers, and Python's hashes depend on the process. A digest is
therefore made from the content: names, labels, parameters and qubits of the gates. It does not
depend on names of parameters, nor on names with a counter that Qiskit gives to circuits.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, ControlFlowOp, Instruction, Operation, ParameterExpression
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.gates import AerDiagonal, is_standard
from hybridopt.circuits.instructions import qubits_of

COUNTED_NAME = re.compile(r"circuit-\d+(-\d+)?")  # of circuits without a name, in one process
COMPLEX = complex | np.complexfloating
LARGEST_EXACT = 1 << 53  # integers up to here are exact as float64


def digest(kind: str, *content: object) -> str:
    """Return the SHA-256 digest of plain values, arrays, gates and circuits, in hex.

    Numbers are compared exactly, as float64 or complex128; 1 equals 1.0, and 0.0 equals -0.0.

    Raises:
        CircuitError: If a part of the content has no form that is equal in all processes.
    """
    state = hashlib.sha256()
    for part in _encoded((kind, content)):
        state.update(part)
    return state.hexdigest()


def circuit_content(circuit: QuantumCircuit) -> tuple[object, ...]:
    """Return what identifies a circuit, for `digest`; registers and names do not matter."""
    items = [
        (
            operation_content(item.operation, circuit),
            qubits_of(circuit, item),
            tuple(circuit.find_bit(bit).index for bit in item.clbits),
        )
        for item in circuit.data
    ]
    return circuit.num_qubits, circuit.num_clbits, circuit.global_phase, items


def operation_content(
    operation: Operation, circuit: QuantumCircuit | None = None
) -> tuple[object, ...]:
    """Return what identifies a gate, for `digest`; ``circuit`` holds the bits of conditions."""
    parts = [
        COUNTED_NAME.sub("circuit", operation.name),
        getattr(operation, "label", None),
        getattr(operation, "ctrl_state", None),
        getattr(operation, "duration", None),  # of delays and boxes
        getattr(operation, "unit", None),
        operation.num_qubits,
        operation.num_clbits,
    ]
    if not isinstance(operation, Instruction):  # annotated gates, Cliffords
        return (*parts, _synthesized(operation))
    parts.append(list(operation.params))
    if isinstance(operation, ControlFlowOp):
        parts.append(_condition(operation, circuit))
    elif not is_standard(operation) and not isinstance(operation, AerDiagonal):
        parts.append(_meaning(operation))
    return tuple(parts)


def _meaning(gate: Instruction) -> object:
    """Return the definition of a gate that its name does not identify, else its matrix."""
    if gate.definition is not None:
        return gate.definition
    if hasattr(gate, "__array__"):
        return gate.to_matrix()
    return type(gate).__qualname__  # measure, reset


def _synthesized(operation: Operation) -> QuantumCircuit:
    circuit = QuantumCircuit(operation.num_qubits)
    circuit.append(operation, range(operation.num_qubits))
    return PassManager([HighLevelSynthesis()]).run(circuit)


def _condition(operation: ControlFlowOp, circuit: QuantumCircuit | None) -> object:
    """Return bits and value of a condition; blocks are parameters of the operation."""
    condition = getattr(operation, "condition", None)
    if condition is None and not hasattr(operation, "target"):
        return None
    if circuit is None or not isinstance(condition, tuple):  # expressions name random variables
        raise CircuitError(
            f"`{operation.name}` must have a condition on bits to have a fingerprint. Give the "
            "program an attribute `fingerprint` of its own."
        )
    bits, value = condition
    bits = (bits,) if isinstance(bits, Clbit) else tuple(bits)
    return tuple(circuit.find_bit(bit).index for bit in bits), int(value)


def _encoded(value: Any) -> Iterator[bytes]:
    """Yield bytes from which the value could be read again, so that different values differ."""
    if isinstance(value, ParameterExpression):
        value = _bound(value)
    if value is None or isinstance(value, str | bytes | bool | np.bool_ | Real | COMPLEX):
        yield _scalar(value)
    elif isinstance(value, np.ndarray):
        yield from _array(value)
    elif isinstance(value, QuantumCircuit):
        yield from _sequence(b"Q", circuit_content(value))
    elif isinstance(value, Operation):
        yield from _sequence(b"G", operation_content(value))
    elif isinstance(value, list | tuple | range):
        yield from _sequence(b"L", value)
    else:
        raise CircuitError(
            f"A fingerprint must be made from numbers, text, arrays and gates (got {value!r} of "
            f"type {type(value).__name__}). Give the program an attribute `fingerprint` of its own."
        )


def _bound(angle: ParameterExpression) -> object:
    if angle.parameters:
        raise CircuitError(
            f"The angle `{angle}` must be bound to have a fingerprint. Bind it in `bind`."
        )
    return angle.numeric()


def _sequence(mark: bytes, values: Iterable[object]) -> Iterator[bytes]:
    items = list(values)
    yield mark + b"%d:" % len(items)
    for item in items:
        yield from _encoded(item)


def _scalar(value: Any) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, str | bytes):
        text = value.encode() if isinstance(value, str) else value
        return b"S%d:" % len(text) + text
    if isinstance(value, bool | np.bool_):
        return b"B%d" % bool(value)
    if isinstance(value, Integral) and abs(int(value)) > LARGEST_EXACT:
        return b"I%d:" % int(value)
    if isinstance(value, COMPLEX):
        return b"C" + struct.pack("<dd", value.real + 0.0, value.imag + 0.0)
    return b"R" + struct.pack("<d", float(value) + 0.0)  # -0.0 + 0.0 is 0.0


def _array(array: np.ndarray) -> Iterator[bytes]:
    kinds = {"b": "|u1", "i": "<i8", "u": "<u8", "f": "<f8", "c": "<c16"}
    kind = kinds.get(array.dtype.kind)
    if kind is None:  # objects
        yield from _sequence(b"O", [array.shape, array.ravel().tolist()])
        return
    yield from _sequence(b"A" + kind.encode(), array.shape)
    numbers = array if array.dtype.kind == "b" else array + array.dtype.type(0)
    yield np.ascontiguousarray(numbers, dtype=kind).tobytes()
