"""Parsing of OpenQASM 3 by the reference parser, which is spared the plain gate statements.

The reference parser takes .4 ms per statement. Most statements of a long file apply one gate to
single qubits; a regular expression reads these, and the reference parser all others.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import redirect_stderr
from functools import lru_cache
from typing import TypeVar

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError

_Node = TypeVar("_Node", bound=ast.QASMNode)
_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_OPERAND = r"(?:[A-Za-z_]\w*|\$\d+)(?:\[\d{1,9}\])?"
_GATE = re.compile(
    rf"([A-Za-z_]\w*)(?:[ \t]*\(([^()\n]*)\)[ \t]*|[ \t]+)({_OPERAND}(?:\s*,\s*{_OPERAND})*)\s*;"
)
_MARKS = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|[{};]", re.DOTALL)
_PARTS = re.compile(r"[^,\s][^,]*")
_FLOAT = re.compile(r"(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[0-9]{1,15}")
_WORDS = frozenset(
    """OPENQASM angle array barrier bit bool box break cal case complex const continue creg ctrl
    def default defcal defcalgrammar delay duration else end extern float for gate gphase if in
    include input int inv let measure mutable negctrl nop opaque output pow pragma qreg qubit
    readonly reset return stretch switch uint void while""".split()
)  # words that begin other statements


def parse(text: str) -> list[ast.Statement]:
    """Return the statements of a text; spans count lines from 1 and columns from 0.

    Raises:
        QASM3ParsingError: If the text is not OpenQASM 3.
    """
    try:
        return list(_statements(text))
    except QASM3ParsingError:
        return _reference(text, 1, 0)  # raises the error at its place in the whole text


def _statements(text: str) -> Iterator[ast.Statement]:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    position, waiting = 0, None
    while True:
        position = _BLANK.match(text, position).end()  # type: ignore[union-attr]
        match = _GATE.match(text, position)
        if match is not None and match[1] not in _WORDS:
            if waiting is not None:
                yield from _part(text, waiting, position, starts)
                waiting = None
            yield _gate(match, starts)
            position = match.end()
            continue
        if waiting is None:
            waiting = position
        if position >= len(text):
            yield from _part(text, waiting, position, starts)
            return
        position = _end_of_statement(text, position)


def _end_of_statement(text: str, position: int) -> int:
    depth = 0
    for mark in _MARKS.finditer(text, position):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            following = text[_BLANK.match(text, mark.end()).end() :][:1]  # type: ignore[union-attr]
            if depth == 0 and following not in ("{", ";", ",", ")", "}"):
                return mark.end()
        elif mark[0] == ";" and depth == 0:
            return mark.end()
    return len(text)


def _part(text: str, start: int, end: int, starts: list[int]) -> list[ast.Statement]:
    if not text[start:end].strip():
        return []
    line = bisect_right(starts, start)
    return _reference(text[start:end], line, start - starts[line - 1])


def _reference(text: str, line: int, column: int) -> list[ast.Statement]:
    with redirect_stderr(io.StringIO()):  # the lexer prints the errors that it raises
        statements: list[ast.Statement] = openqasm3.parse(text).statements  # type: ignore[assignment]
    lengths = [len(content) + 1 for content in text.split("\n")]
    before = [sum(lengths[:k]) for k in range(len(lengths))] if len(lengths) < 1000 else None
    for node in _nodes(statements):
        span = node.span
        if span is not None:
            # the parser counts the columns of some names from the start of the text
            own, row = span.start_column, span.start_line - 1
            if own >= lengths[row]:
                own -= sum(lengths[:row]) if before is None else before[row]
            node.span = ast.Span(line + row, own + (column if row == 0 else 0), 0, 0)
    return statements


def _nodes(value: object) -> Iterator[ast.QASMNode]:
    if isinstance(value, ast.QASMNode):
        yield value
        for field in dataclasses.fields(value):
            if field.name != "span":
                yield from _nodes(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item)


def _gate(match: re.Match[str], starts: list[int]) -> ast.QuantumGate:
    def span(position: int) -> ast.Span:
        line = bisect_right(starts, position)
        return ast.Span(line, position - starts[line - 1], 0, 0)

    arguments = _PARTS.finditer(match.string, match.start(2), match.end(2)) if match[2] else ()
    operands = _PARTS.finditer(match.string, match.start(3), match.end(3))
    node = ast.QuantumGate(
        [],
        _at(ast.Identifier(match[1]), span(match.start())),
        [_expression(part[0].strip(), span(part.start())) for part in arguments],
        [_operand(part[0].strip(), span(part.start())) for part in operands],
    )
    return _at(node, span(match.start()))


def _operand(text: str, span: ast.Span) -> ast.Identifier | ast.IndexedIdentifier:
    name, _, index = text.partition("[")
    identifier = _at(ast.Identifier(name), span)
    if not index:
        return identifier
    place = _at(ast.IntegerLiteral(int(index[:-1])), span)
    return _at(ast.IndexedIdentifier(identifier, [[place]]), span)


def _expression(text: str, span: ast.Span) -> ast.Expression:
    if text.startswith("-") and _FLOAT.fullmatch(text[1:]):
        inner = _at(ast.FloatLiteral(float(text[1:])), span)
        return _at(ast.UnaryExpression(ast.UnaryOperator["-"], inner), span)
    if _FLOAT.fullmatch(text):
        return _at(ast.FloatLiteral(float(text)), span)
    if _INTEGER.fullmatch(text):
        return _at(ast.IntegerLiteral(int(text)), span)
    node = copy.deepcopy(_parsed_expression(text))
    for part in _nodes(node):
        part.span = span
    return node


@lru_cache(maxsize=4096)
def _parsed_expression(text: str) -> ast.Expression:
    with redirect_stderr(io.StringIO()):
        (statement,) = openqasm3.parse(f"rx({text}) q;").statements
    assert isinstance(statement, ast.QuantumGate)
    (argument,) = statement.arguments
    return argument


def _at(node: _Node, span: ast.Span) -> _Node:
    node.span = span
    return node
