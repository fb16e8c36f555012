"""Parsing of OpenQASM 3 by the reference parser, which is spared the plain gate statements.

The reference parser takes .4 ms per statement. Most statements of a long file apply one gate to
single qubits; a regular expression reads these, and the reference parser all others.
"""

from __future__ import annotations

import dataclasses
import io
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from itertools import accumulate
from typing import TypeVar

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError

_Node = TypeVar("_Node", bound=ast.QASMNode)
KEYWORDS = frozenset(
    """OPENQASM angle array barrier bit bool box break cal case complex const continue creg ctrl def
    default defcal defcalgrammar delay duration durationof else end extern false float for gate
    gphase if im in include input int inv let measure mutable negctrl output pow pragma qreg qubit
    readonly reset return stretch switch true uint void while""".split()  # noqa: SIM905
)
SHARED = (
    "OPENQASM",
    "barrier",
    "creg",
    "gate",
    "gphase",
    "if",
    "include",
    "measure",
    "qreg",
    "reset",
)
_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_OPERAND = rf"(?:\$[0-9]{{1,9}}|{_NAME}(?:\[[0-9]{{1,9}}\])?)"
_SPACE = r"[ \t\r\n]*"
_GATE = re.compile(
    rf"({_NAME})(?:[ \t]*\(([^(){{}};\"'\r\n]+)\)[ \t]*|[ \t]+)"
    rf"({_OPERAND}(?:{_SPACE},{_SPACE}{_OPERAND})*){_SPACE};"
)
_MARKS = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'|[{};]", re.DOTALL)
LONGEST_GAP = 10_000  # blanks that the reference parser reads within a statement
MOST_TOGETHER = 200  # statements that are parsed before the first is executed, which may refuse
DEEPEST = 200  # parentheses within parentheses
_LONG_GAP = re.compile(rf"[ \t\r\n]{{{LONGEST_GAP}}}")
_WHOLE_LINE = re.compile(r"(?:#?pragma\b|@[ \t]*[A-Za-z_])[^\n]*")
_PARTS = re.compile(r"[^, \t\r\n][^,\r\n]*")
_WORD = re.compile(_NAME)
_TOKEN = re.compile(
    rf"(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?|[0-9]{{1,15}}|{_NAME}|[-+*/]"
)
_INTEGER = re.compile(r"[0-9]{1,15}")
_NEW_WORD = re.compile(rf"\b(?:{'|'.join(sorted(KEYWORDS.difference(SHARED)))})\b")

_REPLACEMENTS = {f"{word[:-1]}_": word for word in KEYWORDS.difference(SHARED)}
_REPLACED = re.compile(rf"\b(?:{'|'.join(sorted(_REPLACEMENTS))})\b")


def without_new_words(text: str) -> str:
    """Return an OpenQASM 2 text with other words for those that only OpenQASM 3 reserves."""
    return _NEW_WORD.sub(lambda match: f"{match[0][:-1]}_", text)


def with_new_words(text: str) -> str:
    """Return a text with the words that `without_new_words` replaced."""
    return _REPLACED.sub(lambda match: _REPLACEMENTS[match[0]], text)


def parse(text: str) -> Iterator[ast.QASMNode]:
    """Yield the statements of a text; spans count lines from 1 and columns from 0.

    Raises:
        QASM3ParsingError: If the text is not OpenQASM 3.
    """
    try:
        yield from _statements(text)
    except _PartError as error:
        if _LONG_GAP.search(text):
            raise
        _reference(text, 1, 0)  # raises the error at its place in the whole text
        raise error from None


def _statements(text: str) -> Iterator[ast.QASMNode]:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    position, waiting = _after_blanks(text, 0), None
    first, together = position, 0
    while position < len(text):
        match = _GATE.match(text, position)
        gate = None if match is None else _gate(match, starts)
        if match is None or gate is None:
            waiting, together = (position, 1) if waiting is None else (waiting, together + 1)
            end = _end_of_statement(text, position)
            position = _after_blanks(text, end)
            gap = position - end >= LONGEST_GAP
            many = together >= MOST_TOGETHER and text[end - 1] == ";"
            if (gap or many) and not text.startswith("else", position):
                yield from _part(text, waiting, end, starts, is_first=waiting == first)
                waiting = None
            continue
        if waiting is not None:
            yield from _part(text, waiting, position, starts, is_first=waiting == first)
            waiting = None
        yield gate
        position = _after_blanks(text, match.end())
    if waiting is not None:
        yield from _part(text, waiting, position, starts, is_first=waiting == first)


class _PartError(QASM3ParsingError):
    """Raised where a part of a text cannot be parsed."""


def _after_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match is not None  # it may be empty
    return match.end()


def _end_of_statement(text: str, position: int) -> int:
    """Return an end of a statement, or an earlier place at which no gate can start."""
    line = _WHOLE_LINE.match(text, position)
    if line is not None:  # its characters have no meaning
        is_pragma = text[position] != "@"
        return line.end() if is_pragma else _end_of_statement(text, _after_blanks(text, line.end()))
    depth = 0
    for mark in _MARKS.finditer(text, position):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            following = _after_blanks(text, mark.end())
            if depth == 0 and text[following : following + 1] not in set("{;,)}"):
                return mark.end()
        elif mark[0] == ";" and depth == 0:
            return mark.end()
    return len(text)


def _part(
    text: str, start: int, end: int, starts: list[int], *, is_first: bool
) -> list[ast.QASMNode]:
    line = bisect_right(starts, start)
    column = start - starts[line - 1]
    message = f"L{line}:C{column}: the statement is not OpenQASM 3."
    if not is_first and text.startswith("OPENQASM", start):
        raise _PartError(message)  # it must be the first statement
    if _LONG_GAP.search(text, start, end):
        raise _PartError(message)
    try:
        return _reference(text[start:end], line, column)
    except QASM3ParsingError as error:
        raise _PartError(message) from error


def _reference(text: str, line: int, column: int) -> list[ast.QASMNode]:
    if text.count("(") > DEEPEST and _depth(text) > DEEPEST:
        raise RecursionError  # the parser would need seconds to find that out
    with redirect_stderr(io.StringIO()):  # the lexer prints the errors that it raises
        statements: list[ast.QASMNode] = openqasm3.parse(text).statements  # type: ignore[assignment]
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text) + 1]
    for node in _nodes(statements):
        span = node.span
        if span is not None:
            # the parser counts the columns of some names from the start of the text
            own, row = span.start_column, span.start_line - 1
            if own >= starts[row + 1] - starts[row]:
                own -= starts[row]
            node.span = ast.Span(line + row, own + (column if row == 0 else 0), 0, 0)
    return statements


def _depth(text: str) -> int:
    steps = (1 if mark[0] == "(" else -1 for mark in re.finditer(r"[()]", text))
    return max(accumulate(steps), default=0)


def _nodes(value: object) -> Iterator[ast.QASMNode]:
    if isinstance(value, ast.QASMNode):
        yield value
        for field in dataclasses.fields(value):
            if field.name != "span":
                yield from _nodes(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item)


def _gate(match: re.Match[str], starts: list[int]) -> ast.QuantumGate | None:
    """Return the statement, or None if the reference parser must read it."""
    text, (name, angles, operands) = match.string, match.groups()
    if not KEYWORDS.isdisjoint((name, *_WORD.findall(operands))):
        return None
    row = bisect_right(starts, match.start())
    first = match.start() if row == bisect_right(starts, match.end()) else -1

    def span(position: int) -> ast.Span:
        line = row if first >= 0 else bisect_right(starts, position)
        return ast.Span(line, position - starts[line - 1], 0, 0)

    arguments: list[ast.Expression] = []
    place = match.start(2)
    for part in [] if angles is None else angles.split(","):
        argument = _Sum(part, place, span).read()
        if argument is None:
            return None
        arguments.append(argument)
        place += len(part) + 1
    qubits = _PARTS.finditer(text, match.start(3), match.end(3))
    node = ast.QuantumGate(
        [],
        _at(ast.Identifier(name), span(match.start())),
        arguments,
        [_operand(part[0].strip(), part.start(), span) for part in qubits],
    )
    return _at(node, span(match.start()))


def _operand(
    text: str, start: int, span: Callable[[int], ast.Span]
) -> ast.Identifier | ast.IndexedIdentifier:
    name, _, index = text.partition("[")
    identifier = _at(ast.Identifier(name), span(start))
    if not index:
        return identifier
    place = _at(ast.IntegerLiteral(int(index[:-1])), span(start + len(name) + 1))
    return _at(ast.IndexedIdentifier(identifier, [[place]]), span(start))


class _Sum:
    """Sum of products of numbers and names without parentheses, such as ``-3*pi/4 + x0``.

    Args:
        text: Expression.
        start: Place of the text in the file.
        span: Returns the span of a place in the file.
    """

    def __init__(self, text: str, start: int, span: Callable[[int], ast.Span]) -> None:
        self._tokens = list(_TOKEN.finditer(text))
        self._is_known = "".join(token[0] for token in self._tokens) == "".join(text.split())
        self._start, self._span, self._next = start, span, 0

    def read(self) -> ast.Expression | None:
        """Return the expression, or None if the reference parser must read it."""
        if not self._is_known:
            return None
        result = self._joined("+-", lambda: self._joined("*/", self._factor))
        return result if self._next == len(self._tokens) else None

    def _joined(
        self, operators: str, part: Callable[[], ast.Expression | None]
    ) -> ast.Expression | None:
        left = part()
        while left is not None and self._peek() and self._peek() in operators:
            operator = self._take()[0]
            right = part()
            if right is None:
                return None
            span = left.span
            left = ast.BinaryExpression(ast.BinaryOperator[operator], left, right)
            left.span = span
        return left

    def _factor(self) -> ast.Expression | None:
        if not self._peek():
            return None
        token = self._take()
        word = token[0]
        node: ast.Expression
        if word == "-":
            inner = self._factor()
            if inner is None:
                return None
            node = ast.UnaryExpression(ast.UnaryOperator["-"], inner)
        elif word in "+*/" or word in KEYWORDS:
            return None
        elif _INTEGER.fullmatch(word):
            node = ast.IntegerLiteral(int(word))
        elif word[0].isdigit() or word[0] == ".":
            node = ast.FloatLiteral(float(word))
        else:
            node = ast.Identifier(word)
        return _at(node, self._span(self._start + token.start()))

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> re.Match[str]:
        self._next += 1
        return self._tokens[self._next - 1]


def _at(node: _Node, span: ast.Span) -> _Node:
    node.span = span
    return node
