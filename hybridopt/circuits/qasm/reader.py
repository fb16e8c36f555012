"""Reading of OpenQASM 2 and 3: a circuit and its parameters, or an error with line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit, qasm2

from hybridopt.circuits.measurements import without_measurements
from hybridopt.errors import CircuitError

if TYPE_CHECKING:  # openqasm3 and its parser are imported when a text of OpenQASM 3 is read
    from openqasm3 import ast
    from openqasm3.parser import QASM3ParsingError

    from hybridopt.circuits.qasm.interpreter import ParsedProgram

Position = tuple[int, int]  # line and column, counted from 1
LARGEST_INCLUDE = 1 << 20  # bytes
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION = re.compile(r"\s*OPENQASM\s+([0-9]+)")
_GATE = re.compile(r"\bgate\s+([A-Za-z_]\w*)")
_IN_PARSER = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)
_IN_OPENQASM_2 = re.compile(r".*?:(\d+),(\d+): (.*)", re.DOTALL)


@dataclass(frozen=True)
class SourceText:
    """Text of a circuit file.

    Attributes:
        text: The text.
        name: Name of the file in errors.
        folder: Folder of the files that it may include; None if it must not include any.
    """

    text: str
    name: str
    folder: Path | None = None

    def parse(self) -> list[ast.Statement]:
        """Return the statements of an OpenQASM 3 text."""
        from openqasm3.parser import QASM3ParsingError

        from hybridopt.circuits.qasm.parser import parse

        try:
            return parse(self.text)
        except QASM3ParsingError as error:
            raise self._syntax_error(error) from None
        except AttributeError:  # openqasm3 has no error for an empty text
            raise CircuitError(f"{self.name} has no statements. Give an OpenQASM file.") from None
        except RecursionError:
            raise CircuitError(f"{self.name} is nested too deeply.") from None

    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of a statement or expression."""
        if node.span is None:
            return CircuitError(f"{self.name}: {message}")
        return error_at(self.name, (node.span.start_line, node.span.start_column + 1), message)

    def included(self, node: ast.Include, filename: str) -> SourceText:
        """Return the text of a file in the same folder."""
        if self.folder is None:
            raise self.error(node, f"`{filename}` cannot be included, as there is no folder.")
        path = (self.folder / filename).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise self.error(node, f"`{filename}` must be in the folder of the file.")
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST_INCLUDE + 1)
            text = data.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            raise self.error(node, f"`{filename}` cannot be read: {error}.") from None
        if len(data) > LARGEST_INCLUDE:
            raise self.error(node, f"`{filename}` must have at most {LARGEST_INCLUDE} bytes.")
        return SourceText(text, str(path), self.folder)

    def known_gates(self) -> dict[str, ast.QuantumGateDefinition]:
        """Return the definitions of gates of other tools by name."""
        return _known_gates()

    def _syntax_error(self, error: QASM3ParsingError) -> CircuitError:
        match = _IN_PARSER.match(str(error))
        if match is not None:
            return error_at(self.name, (int(match[1]), int(match[2]) + 1), match[3])
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
    reader cannot serve: for gates of the file with trainable angles, for gates of the file that
    have the name of a standard gate, and for the place of an error.

    Args:
        source: Text of the file.
        trainable_angles: Whether angles of gates that the file defines must stay replaceable.
    """
    version = _VERSION.match(_COMMENTS.sub("", source.text))
    if version is None or version[1] != "2":
        if version is not None and version[1] != "3":
            place = source.text[: source.text.index("OPENQASM")].count("\n") + 1, 1
            raise error_at(source.name, place, f"OpenQASM {version[1]} is not supported.")
        return _checked(source, _interpreted(source, 3))
    defined = set(_GATE.findall(_COMMENTS.sub("", source.text)))
    standard = {gate.name for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS}
    if defined & standard or (defined and trainable_angles):
        return _checked(source, _interpreted(source, 2))
    return _checked(source, _read_openqasm_2(source))


def _read_openqasm_2(source: SourceText) -> ParsedProgram:
    from hybridopt.circuits.qasm.interpreter import ParsedProgram

    folders = (source.folder,) if source.folder is not None else ()
    try:
        circuit: QuantumCircuit = qasm2.loads(
            source.text,
            include_path=folders,
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
            custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
        )
        bare, measured = without_measurements(circuit, source.name)
    except qasm2.QASM2ParseError as error:
        return _second_reading(source, _located(source, error))
    except CircuitError as error:
        return _second_reading(source, error)
    return ParsedProgram(bare, [], measured)


def _second_reading(source: SourceText, error: CircuitError) -> ParsedProgram:
    """Read by the interpreter, for gates that Qiskit's reader lacks or for the place of an error."""
    try:
        return _interpreted(source, 2)
    except CircuitError as placed:
        if ": unexpected" in str(placed):  # a word that OpenQASM 3 reserves
            raise error from None
        raise placed from None


def _interpreted(source: SourceText, version: int) -> ParsedProgram:
    from hybridopt.circuits.qasm.interpreter import Interpreter

    return Interpreter(source, version).run(source.parse())


def _checked(source: SourceText, program: ParsedProgram) -> ParsedProgram:
    if program.circuit.num_qubits == 0:
        raise CircuitError(f"{source.name} has no qubits. Declare some, such as `qubit[4] q;`.")
    return program


def _located(source: SourceText, error: qasm2.QASM2ParseError) -> CircuitError:
    match = _IN_OPENQASM_2.match(str(error.message))
    if match is None:
        return CircuitError(f"{source.name}: {error.message}")
    return error_at(source.name, (int(match[1]), int(match[2]) + 1), match[3])


@cache
def _known_gates() -> dict[str, ast.QuantumGateDefinition]:
    from openqasm3 import ast

    from hybridopt.circuits.qasm.gate_library import KNOWN_GATES

    statements = SourceText(KNOWN_GATES.read_text("utf-8"), KNOWN_GATES.name).parse()
    return {
        node.name.name: node for node in statements if isinstance(node, ast.QuantumGateDefinition)
    }
