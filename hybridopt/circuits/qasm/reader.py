"""Reading OpenQASM 3: a circuit and its parameters, or an error with line and column."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import NamedTuple

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_qasm3_import import ConversionError

from hybridopt.circuits.qasm.converter import Converter
from hybridopt.errors import CircuitError

_VERSION = re.compile(r"^\s*OPENQASM\s+([0-9]+)", re.MULTILINE)
_OF_PARSER = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)
_OF_CONVERTER = re.compile(r"(\d+),(\d+): (.*)", re.DOTALL)


class Program(NamedTuple):
    """What a text says.

    Attributes:
        circuit: The circuit.
        inputs: Parameters x, by number.
        weights: Parameters w, by number.
    """

    circuit: QuantumCircuit
    inputs: Sequence[Parameter]
    weights: Sequence[Parameter]


class Place(NamedTuple):
    """Where in a text, both counted from 1."""

    line: int
    column: int


def read_openqasm(text: str, source: str) -> Program:
    """The circuit of an OpenQASM 3 text.

    Args:
        text: The program.
        source: What errors call it.

    Raises:
        CircuitError: With line and column, if the text is no OpenQASM 3, or has statements
            without a unitary, or inputs with names other than x0, x1, ..., w0, w1, ...
    """
    _refuse_other_versions(text, source)
    tree = _parsed(text, source)
    converter = Converter()
    try:
        circuit = converter.convert(tree).circuit
    except ConversionError as error:
        raise _located(text, source, _OF_CONVERTER, str(error.message)) from None
    if circuit.num_qubits == 0:
        raise CircuitError(f"{source} has no qubits. Declare some, such as `qubit[4] q;`.")
    places = sorted(converter.parameters)
    inputs, weights = (
        tuple(converter.parameters[place] for place in places if place.kind == kind)
        for kind in ("x", "w")
    )
    return Program(circuit, inputs, weights)


def error_at(source: str, place: Place, message: str) -> CircuitError:
    """The error at this place."""
    return CircuitError(f"{source}, line {place.line}, column {place.column}: {message}")


def _refuse_other_versions(text: str, source: str) -> None:
    version = _VERSION.search(text)
    if version is None or version[1] == "3":
        return
    place = _place(text, text[: version.start(1)].count("\n") + 1, 0)
    raise error_at(
        source,
        place,
        f"OpenQASM {version[1]} is not read, as it has no inputs that could be trained. Convert "
        "it by `qiskit.qasm3.dumps(qiskit.qasm2.load(path))` and write w0, w1, ... for the angles.",
    )


def _parsed(text: str, source: str) -> ast.Program:
    try:
        with redirect_stderr(io.StringIO()):  # the lexer prints what it also raises
            return openqasm3.parse(text)
    except QASM3ParsingError as error:
        if str(error):
            raise _located(text, source, _OF_PARSER, str(error)) from None
        raise _unexpected(text, source, error) from None
    except AttributeError:  # openqasm3 looks for the end of nothing
        raise CircuitError(f"{source} has no statements. An OpenQASM 3 file is wanted.") from None
    except RecursionError:
        raise CircuitError(f"{source} nests its expressions too deep to be read.") from None


def _unexpected(text: str, source: str, error: QASM3ParsingError) -> CircuitError:
    """The error at the symbol where the parser gave up."""
    cause = error.__cause__
    recognition = cause.args[0] if cause is not None and cause.args else cause
    token = getattr(recognition, "offendingToken", None)
    if token is None:
        return CircuitError(f"{source} is not OpenQASM 3.")
    place = _place(text, token.line, token.column)
    if token.text == "<EOF>":
        return error_at(source, place, "the text ends within a statement.")
    before = text.split("\n")[place.line - 1][: place.column - 1]
    hint = "" if before.strip() else " Perhaps the line before lacks its `;`."
    return error_at(source, place, f"unexpected `{token.text}`.{hint}")


def _located(text: str, source: str, pattern: re.Pattern[str], message: str) -> CircuitError:
    """The error at the place that the message of a library begins with."""
    match = pattern.match(message)
    if match is None:
        return CircuitError(f"{source}: {message}")
    return error_at(source, _place(text, int(match[1]), int(match[2])), match[3])


def _place(text: str, line: int, column: int) -> Place:
    """Counted from 1; the parser counts columns from 0, and those of some names in the text."""
    lines = text.split("\n")
    if 1 <= line <= len(lines) and column > len(lines[line - 1]):
        column -= sum(len(earlier) + 1 for earlier in lines[: line - 1])
    return Place(line, column + 1)
