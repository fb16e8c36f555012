"""Small OpenQASM programs, read and compared with circuits by their matrices."""

from __future__ import annotations

from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from hybridopt.circuits.qasm.circuit_builder import ParsedProgram
from hybridopt.circuits.qasm.reader import SourceText, read_openqasm
from hybridopt.errors import CircuitError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
HEAD_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def read(text: str, folder: Path | None = None) -> ParsedProgram:
    return read_openqasm(SourceText(text, "test", folder))


def read_3(body: str) -> QuantumCircuit:
    return read(HEAD + body).circuit


def read_2(body: str) -> QuantumCircuit:
    return read(HEAD_2 + body).circuit


def bound(circuit: QuantumCircuit, *values: float) -> QuantumCircuit:
    """The circuit with values for its parameters in the order of their names."""
    names = sorted(circuit.parameters, key=lambda parameter: parameter.name)
    return circuit.assign_parameters(dict(zip(names, values, strict=True)))


def is_same(first: QuantumCircuit, second: QuantumCircuit) -> bool:
    """Return True if the circuits have one matrix, up to a global phase."""
    return Operator(first).equiv(Operator(second), rtol=0, atol=1e-12)


def measured_places(program: ParsedProgram) -> list[int] | None:
    if program.measured is None:
        return None
    return [program.circuit.find_bit(qubit).index for qubit in program.measured]


def assert_refused(text: str, place: tuple[int, int], word: str, folder: Path | None = None):
    """The error names its place and the word it is about."""
    with pytest.raises(CircuitError) as caught:
        read(text, folder)
    message = str(caught.value)
    assert message.startswith(f"test, line {place[0]}, column {place[1]}: "), message
    assert word in message, message
