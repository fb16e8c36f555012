"""Reading of OpenQASM 2 and 3: a circuit and its parameters, or an error with line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit, qasm2
from qiskit.circuit import Instruction

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.measurements import strip_measurements
from hybridopt.circuits.qasm.circuit_builder import (
    MOST_OPERATIONS,
    MOST_QUBITS_IN_ALL,
    ParsedProgram,
)
from hybridopt.circuits.qasm.gate_library import KNOWN_GATES, names_with_a_meaning

if TYPE_CHECKING:  # openqasm3 and its parser are imported when a text of OpenQASM 3 is read
    from openqasm3 import ast
    from openqasm3.parser import QASM3ParsingError

Position = tuple[int, int]  # line and column, counted from 1
MOST_UNROLLED = 250_000  # gates by registers as operands, which Qiskit reads in a second
LARGEST_INCLUDE = 1 << 20  # bytes
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION = re.compile(r"\s*OPENQASM\s+([0-9]+(?:\.[0-9]+)?)")
_SUPPORTED = re.compile(r"[23](?:\.[0-9])?")
_GATE = re.compile(r"\bgate\s+([A-Za-z_]\w*)")
_OPAQUE = re.compile(r"\bopaque\s+([A-Za-z_]\w*)[^;]*;")
_INCLUDE = re.compile(r"\binclude\s*[\"']([^\"'\n]*)")
_REGISTER = re.compile(r"\b[qc]reg\s+\w+\s*\[\s*([0-9]+)")
_HUGE = re.compile(r"(?<![.0-9])[0-9]{16,}")  # at large integers, Qiskit's reader crashes
_SYMBOL = re.compile(r"token recognition error at: '(.*)'", re.DOTALL)
_IN_PARSER = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)


@dataclass(frozen=True)
class SourceText:
    """Text of a circuit file.

    Attributes:
        text: The text.
        name: Name of the file in errors.
        folder: Folder of the files that it may include; None if it must not include any.
        version: Version of the language, 2 or 3.
    """

    text: str
    name: str
    folder: Path | None = None
    version: int = 3

    @cached_property
    def opaque(self) -> frozenset[str]:
        """Names of the opaque gates that an OpenQASM 2 text declares."""
        return frozenset(_OPAQUE.findall(self.text)) if self.version == 2 else frozenset()

    def parse(self) -> Iterator[ast.QASMNode]:
        """Yield the statements; those of OpenQASM 2 as OpenQASM 3 writes them."""
        from openqasm3.parser import QASM3ParsingError

        from hybridopt.circuits.qasm.parser import parse, without_new_words

        text = self.text
        if self.version == 2:
            text = without_new_words(_OPAQUE.sub(_blank, text))
        try:
            yield from parse(text)
        except QASM3ParsingError as error:
            raise self._syntax_error(error) from None
        except AttributeError:  # openqasm3 has no error for an empty part
            raise CircuitError(f"{self.name} is not OpenQASM.") from None
        except ValueError as error:  # an integer that Python refuses
            raise CircuitError(f"{self.name} cannot be read: {error}.") from None
        except RecursionError:
            raise self.too_deep() from None

    def too_deep(self) -> CircuitError:
        """Return the error for a text whose parts are nested too deeply."""
        return CircuitError(f"{self.name} is nested too deeply.")

    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of a statement or expression."""
        if self.version == 2:
            from hybridopt.circuits.qasm.parser import with_new_words

            message = with_new_words(message)
        if node.span is None:
            return CircuitError(f"{self.name}: {message}")
        return error_at(self.name, (node.span.start_line, node.span.start_column + 1), message)

    def included(self, node: ast.Include, filename: str) -> SourceText:
        """Return the text of a file in the same folder."""
        if self.folder is None:
            raise self.error(node, f"`{filename}` cannot be included: the text has no folder.")
        path = (self.folder / filename).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise self.error(node, f"`{filename}` must be in the folder of the file.")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise self.error(node, f"`{filename}` cannot be read: it is not a file.")
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST_INCLUDE + 1)
            text = data.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise self.error(node, f"`{filename}` cannot be read: {reason}.") from None
        if len(data) > LARGEST_INCLUDE:
            raise self.error(node, f"`{filename}` must have at most {LARGEST_INCLUDE} bytes.")
        return SourceText(text, str(path), self.folder, self.version)

    def known_gates(self) -> dict[str, ast.QuantumGateDefinition]:
        """Return the definitions of gates of other tools by name."""
        return _known_gates()

    def _syntax_error(self, error: QASM3ParsingError) -> CircuitError:
        match = _IN_PARSER.match(str(error))
        if match is not None:
            symbol = _SYMBOL.fullmatch(match[3])
            message = f"`{symbol[1]}` is not a symbol of OpenQASM." if symbol else match[3]
            return error_at(self.name, (int(match[1]), int(match[2]) + 1), message)
        cause = error.__cause__
        recognition = cause.args[0] if cause is not None and cause.args else cause
        token = getattr(recognition, "offendingToken", None)
        if token is None:
            return CircuitError(f"{self.name} is not OpenQASM. {error}".rstrip())
        place = (token.line, token.column + 1)
        if token.text == "<EOF>":
            return error_at(self.name, place, "the text ends within a statement.")
        before = self.text.split("\n")[place[0] - 1][: place[1] - 1]
        hint = "" if before.strip() else " Perhaps a `;` is missing in the line before."
        return error_at(self.name, place, f"unexpected `{token.text}`.{hint}")


def error_at(source: str, place: Position, message: str) -> CircuitError:
    """Return the error at a place of a file."""
    return CircuitError(f"{source}, line {place[0]}, column {place[1]}: {message}")


def read_openqasm(source: SourceText, *, trainable_angles: bool = False) -> ParsedProgram:
    """Return the circuit of an OpenQASM 2 or 3 text, without its final measurements.

    OpenQASM 2 is read by Qiskit's fast reader. The interpreter of OpenQASM 3 reads it where that
    reader cannot serve: for included files, for gates of the file with trainable angles, for gates
    of the file that have the name of a standard gate, and for the place of an error.

    Args:
        source: Text of the file; its version is read from the text.
        trainable_angles: Whether angles of gates that the file defines must stay replaceable.
    """
    code = _COMMENT.sub(_blank, source.text)
    if not code.strip():
        raise CircuitError(f"{source.name} has no statements. Give an OpenQASM file.")
    stated = _VERSION.match(code)
    version = stated[1] if stated else "2" if "qelib1.inc" in _INCLUDE.findall(code) else "3"
    if not _SUPPORTED.fullmatch(version):
        assert stated is not None
        place = code[: stated.start(1)].count("\n") + 1, 1
        raise error_at(source.name, place, f"OpenQASM {version} is not supported.")
    if version[0] == "2":
        program = _openqasm_2(replace(source, version=2), code, trainable_angles=trainable_angles)
    else:
        program = _interpreted(source)
    if program.circuit.num_qubits == 0:
        raise CircuitError(f"{source.name} has no qubits. Declare some, such as `qubit[4] q;`.")
    return program


def _openqasm_2(source: SourceText, code: str, *, trainable_angles: bool) -> ParsedProgram:
    defined = set(_GATE.findall(code))
    standard = {gate.name for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS} | names_with_a_meaning()
    includes = set(_INCLUDE.findall(code)) - {"qelib1.inc"}
    own_angles = defined and trainable_angles
    if includes or defined & standard or own_angles or "opaque" in code or _is_large(code):
        return _interpreted(source)
    try:
        circuit: QuantumCircuit = qasm2.loads(
            source.text,
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
            custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
        )
        bare, measured = strip_measurements(circuit, source.name)
    except (qasm2.QASM2ParseError, CircuitError, TypeError):  # TypeError: an angle is missing
        return _interpreted(source)  # it knows more gates, and the places of errors
    try:
        if defined and _num_operations(bare, defined) > MOST_OPERATIONS:
            return _interpreted(source)
    except RecursionError:
        raise source.too_deep() from None
    return ParsedProgram(bare, [], measured)


def _is_large(code: str) -> bool:
    """Return whether Qiskit's reader, which has no limits, would need much time or memory."""
    if _HUGE.search(code):
        return True
    sizes = [int(size) for size in _REGISTER.findall(code)]
    registers = sum("[" not in part for part in code.split(";"))  # as operands
    return sum(sizes) > MOST_QUBITS_IN_ALL or registers * max(sizes, default=1) > MOST_UNROLLED


def _interpreted(source: SourceText) -> ParsedProgram:
    from hybridopt.circuits.qasm.interpreter import Interpreter

    return Interpreter(source).run(source.parse())


def _num_operations(circuit: QuantumCircuit, defined: set[str]) -> int:
    """Return the number of gates, with those within the gates that the file defines."""
    known: dict[str, int] = {}

    def size(gate: Instruction) -> int:
        if gate.name not in defined:
            return 1
        if gate.name not in known:
            known[gate.name] = sum(size(item.operation) for item in gate.definition.data)
        return known[gate.name]

    return sum(size(item.operation) for item in circuit.data)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


@cache
def _known_gates() -> dict[str, ast.QuantumGateDefinition]:
    from openqasm3 import ast

    statements = SourceText(KNOWN_GATES.read_text("utf-8"), KNOWN_GATES.name).parse()
    return {
        node.name.name: node for node in statements if isinstance(node, ast.QuantumGateDefinition)
    }
