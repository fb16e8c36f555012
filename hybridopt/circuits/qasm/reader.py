"""Reader of OpenQASM 3: a circuit and its parameters, or an error with line and column."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridopt.errors import CircuitError

if TYPE_CHECKING:  # openqasm3 and its parser are imported with the first text
    from openqasm3 import ast
    from openqasm3.parser import QASM3ParsingError

Position = tuple[int, int]  # line and column, counted from 1
_VERSION = re.compile(r"^\s*OPENQASM\s+([0-9]+)", re.MULTILINE)
_OF_PARSER = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)
_OF_CONVERTER = re.compile(r"(\d+),(\d+): (.*)", re.DOTALL)
CONVENTION = (
    "Declare inputs as `input float x0;` and weights as `input float w0;`. The numbers determine "
    "their order. `hybridopt.save_circuit` writes any circuit in this form."
)
# `x[3]` of a Qiskit ParameterVector becomes `_x_3_` in qiskit.qasm3.dumps
_NAME = re.compile(r"([xw])_?([0-9]+)|_([xw])_([0-9]+)_")


class ParsedCircuit(NamedTuple):
    """Circuit of a text, its inputs and its weights, sorted by number."""

    circuit: QuantumCircuit
    inputs: Sequence[Parameter]
    weights: Sequence[Parameter]


def parameter_number(name: str) -> tuple[str, int] | None:
    """Return ``("x", 10)`` for `x10`, and so on; None for other names."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind, number = (part for part in match.groups() if part is not None)
    return kind, int(number)


def read_openqasm(text: str, source: str) -> ParsedCircuit:
    """Return the circuit of an OpenQASM 3 text."""
    from qiskit_qasm3_import import ConversionError

    from hybridopt.circuits.qasm.converter import Converter

    version = _VERSION.search(text)
    if version is not None and version[1] != "3":
        place = _place(text, text[: version.start(1)].count("\n") + 1, 0)
        advice = "Convert the file with `qiskit.qasm3.dumps(qiskit.qasm2.load(path))`."
        raise error_at(source, place, f"the version must be 3 (got {version[1]}). {advice}")
    tree = _parsed(text, source)
    converter = Converter()
    try:
        circuit = converter.convert(tree).circuit
    except ConversionError as error:
        raise _located(text, source, _OF_CONVERTER, str(error.message)) from None
    if circuit.num_qubits == 0:
        raise CircuitError(f"{source} must have qubits. Declare them, as in `qubit[4] q;`.")
    named = sorted(converter.parameters.items(), key=itemgetter(0))
    inputs, weights = ([p for (kind, _), p in named if kind == letter] for letter in "xw")
    return ParsedCircuit(circuit, tuple(inputs), tuple(weights))


def error_at(source: str, place: Position, message: str) -> CircuitError:
    """Return the error with its position."""
    return CircuitError(f"{source}, line {place[0]}, column {place[1]}: {message}")


def _parsed(text: str, source: str) -> ast.Program:
    import openqasm3
    from openqasm3.parser import QASM3ParsingError

    try:
        with redirect_stderr(io.StringIO()):  # the lexer also prints the errors that it raises
            return openqasm3.parse(text)
    except QASM3ParsingError as error:
        if str(error):
            raise _located(text, source, _OF_PARSER, str(error)) from None
        raise _unexpected(text, source, error) from None
    except AttributeError:  # openqasm3 fails at a text without statements
        raise CircuitError(f"{source} must have statements of OpenQASM 3.") from None
    except RecursionError:
        raise CircuitError(f"The expressions in {source} are nested too deeply.") from None


def _unexpected(text: str, source: str, error: QASM3ParsingError) -> CircuitError:
    """Return the error at the first symbol that the parser could not read."""
    cause = error.__cause__
    recognition = cause.args[0] if cause is not None and cause.args else cause
    token = getattr(recognition, "offendingToken", None)
    if token is None:
        return CircuitError(f"{source} is not OpenQASM 3.")
    place = _place(text, token.line, token.column)
    if token.text == "<EOF>":
        return error_at(source, place, "the text ends within a statement.")
    before = text.split("\n")[place[0] - 1][: place[1] - 1]
    hint = "" if before.strip() else " The line before may lack its `;`."
    return error_at(source, place, f"unexpected `{token.text}`.{hint}")


def _located(text: str, source: str, pattern: re.Pattern[str], message: str) -> CircuitError:
    """Return the error at the position with which the message of a library starts."""
    match = pattern.match(message)
    if match is None:
        return CircuitError(f"{source}: {message}")
    return error_at(source, _place(text, int(match[1]), int(match[2])), match[3])


def _place(text: str, line: int, column: int) -> Position:
    """Return the position, counted from 1; the parser counts columns from 0, some in the text."""
    lines = text.split("\n")
    if 1 <= line <= len(lines) and column > len(lines[line - 1]):
        column -= sum(len(earlier) + 1 for earlier in lines[: line - 1])
    return line, column + 1
