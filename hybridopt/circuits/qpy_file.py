"""QPY files, whose declared sizes are checked before Qiskit reads them.

Qiskit allocates the declared numbers of qubits and instructions, and a failure ends the process.
The layout of the structures is that of `qiskit.qpy`, versions 13 to 18.
"""

from __future__ import annotations

import io
import struct
from typing import Any

from qiskit import QuantumCircuit, qpy
from qiskit.circuit import AnnotatedOperation

MAGIC = b"QISKIT"
OLDEST, NEWEST = 13, 18  # versions: the oldest that Qiskit 2 writes, the newest that is checked
LONGEST_VECTOR = 1 << 20  # parameters
MOST_REPEATED = 4  # registers that contain the same bit
MOST_QUBITS = 2048  # as in OpenQASM; a simulator holds far fewer. Also of classical bits
DEEPEST = 32  # definitions within definitions
FILE = struct.Struct("!6sB3xQc")  # magic, version, number of circuits
OFFSET = struct.Struct("!Q")  # of each circuit, from version 16 on
# sizes of name, phase and metadata; numbers of qubits, bits, registers, instructions, variables
CIRCUIT = struct.Struct("!HcHIIQIQI")
REGISTER = struct.Struct("!c?IH?")  # kind, standalone, size, size of the name, in the circuit
COUNT, NAMESPACE = struct.Struct("!I"), struct.Struct("!IQ")  # of annotations
VECTORS, VECTOR = struct.Struct("!H"), struct.Struct("!HQ16x")  # from version 18 on
DEFINITIONS = struct.Struct("!Q")
# sizes of the name, kind, qubits, bits, has a definition, its size, controls, state, base gate
DEFINITION = struct.Struct("!HcII?QIIQ")
# sizes of name and label; numbers of parameters, qubits, bits; flags, size of the condition
INSTRUCTION = struct.Struct("!HHHIIBHqII")
OPERAND, PARAMETER = struct.Struct("!cI"), struct.Struct("!cQ")
CONDITION, ANNOTATED = 0b11, 0b10000000  # flags
# classes of instructions whose parameters are circuits
WITH_BLOCKS = (b"BoxOp", b"IfElseOp", b"ForLoopOp", b"WhileLoopOp", b"SwitchCaseOp")


def read_qpy(content: bytes) -> QuantumCircuit:
    """Return the circuit of a QPY file.

    Raises:
        ValueError: If the file is damaged, too large or of an older version.
    """
    reader = _Reader(content)
    magic, version, count, _ = reader.unpack(FILE)
    if magic != MAGIC:
        raise ValueError("it does not start as QPY")
    if version < OLDEST:
        raise ValueError(f"it has QPY version {version}; {OLDEST} and newer are read")
    newest = qpy.QPY_VERSION
    if version > newest:
        raise ValueError(f"it has QPY version {version}; this Qiskit reads up to {newest}")
    if count != 1:
        raise ValueError(f"it must contain one circuit (got {count})")
    if reader.take(1) != b"q":
        raise ValueError("it contains no circuit")
    if version >= 16:
        reader.place = reader.unpack(OFFSET)[0]
    _check_circuit(reader, version, 0)
    try:
        (circuit,) = qpy.load(io.BytesIO(content))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust has another base class
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(circuit, QuantumCircuit):
        raise ValueError("it contains no circuit")  # noqa: TRY004
    return _with_all_parameters(circuit)


def _with_all_parameters(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit that knows the parameters of annotated operations; Qiskit omits them."""
    if not any(isinstance(item.operation, AnnotatedOperation) for item in circuit.data):
        return circuit
    again = circuit.copy_empty_like()
    for item in circuit.data:
        again.append(item.operation, item.qubits, item.clbits)
    return again


def num_circuits(content: bytes) -> int:
    """Return the declared number of circuits of a QPY file; 1 if it is too short."""
    return int(FILE.unpack_from(content)[2]) if len(content) >= FILE.size else 1


class _Reader:
    """Bytes, read from a place on."""

    def __init__(self, content: bytes, place: int = 0) -> None:
        self.content, self.place = content, place

    @property
    def left(self) -> int:
        """Number of bytes after the place."""
        return max(0, len(self.content) - self.place)

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > self.left:
            raise ValueError("it ends too early")
        self.place += size
        return self.content[self.place - size : self.place]

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        """Return the next structure."""
        return form.unpack(self.take(form.size))


def _check_circuit(reader: _Reader, version: int, depth: int) -> None:
    """Raise a ValueError if a circuit, or a part of it, declares more than there is."""
    name, _, phase, qubits, bits, metadata, registers, instructions, variables = reader.unpack(
        CIRCUIT
    )
    _check_numbers(qubits, bits)
    if depth > DEEPEST:
        raise ValueError("its definitions are nested too deeply")
    if variables:
        raise ValueError("it has classical variables, which have no gradient")
    reader.take(name + phase + metadata)
    if registers * REGISTER.size > reader.left or instructions * INSTRUCTION.size > reader.left:
        raise ValueError(f"it has no room for {instructions:,} instructions")
    if version > NEWEST:  # only the head is known to have the same layout
        return
    _check_registers(reader, version, registers)
    _check_tables(reader, version)
    for _ in range(reader.unpack(DEFINITIONS)[0]):
        _check_definition(reader, version, depth)
    if any(word in reader.content for word in WITH_BLOCKS):
        for _ in range(instructions):
            _check_instruction(reader, version, depth)


def _check_tables(reader: _Reader, version: int) -> None:
    """Check annotations and vectors of parameters."""
    if version >= 15:
        for _ in range(reader.unpack(COUNT)[0]):
            reader.take(sum(reader.unpack(NAMESPACE)))
    if version >= 18:
        for _ in range(reader.unpack(VECTORS)[0]):
            name, size = reader.unpack(VECTOR)
            reader.take(name)
            if size > LONGEST_VECTOR:
                raise ValueError(f"a vector must have at most {LONGEST_VECTOR:,} elements")


def _check_numbers(qubits: int, bits: int) -> None:
    if max(qubits, bits) > MOST_QUBITS:
        raise ValueError(f"it must have at most {MOST_QUBITS:,} qubits (got {max(qubits, bits):,})")


def _check_registers(reader: _Reader, version: int, registers: int) -> None:
    total = 0
    for _ in range(registers):
        _, _, size, name, _ = reader.unpack(REGISTER)
        # from version 18 on, a register of consecutive bits has one index
        is_range = version >= 18 and reader.take(1) == b"\1"
        reader.take(name + (4 if is_range else (8 if version < 18 else 4) * size))
        total += size
    _check_numbers(total // MOST_REPEATED, 0)


def _check_definition(reader: _Reader, version: int, depth: int) -> None:
    name, _, qubits, bits, has_definition, size, _, _, base = reader.unpack(DEFINITION)
    is_evolution = reader.take(name).startswith(b"###PauliEvolutionGate_")
    _check_numbers(qubits, bits)
    if has_definition:
        definition = reader.take(size)
        if not is_evolution:
            _check_circuit(_Reader(definition), version, depth + 1)
    reader.take(base)


def _check_instruction(reader: _Reader, version: int, depth: int) -> None:
    """Check the circuits in the parameters of an instruction."""
    name, label, parameters, qubits, bits, flags, condition, *_ = reader.unpack(INSTRUCTION)
    if flags & CONDITION == CONDITION - 1:
        raise ValueError("it has classical expressions, which have no gradient")
    reader.take(name + label + condition + (qubits + bits) * OPERAND.size)
    for _ in range(parameters):
        kind, size = reader.unpack(PARAMETER)
        content = reader.take(size)
        if kind == b"q":
            _check_circuit(_Reader(content), version, depth + 1)
    if flags & ANNOTATED:
        for _ in range(reader.unpack(COUNT)[0]):
            reader.take(reader.unpack(NAMESPACE)[1])
