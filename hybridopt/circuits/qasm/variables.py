"""Names of an OpenQASM program with their values, and the values of its classical bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Clbit, Qubit

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.qasm.expressions import Evaluator
from hybridopt.circuits.qasm.values import Bits

MOST_BITS = 1 << 16  # of a register
ErrorAt = Callable[[ast.QASMNode, str], CircuitError]
Scope = dict[str, "Constant | Variable"]


@dataclass(frozen=True)
class Constant:
    """Value of a name that must not be assigned."""

    value: Any


@dataclass
class Variable:
    """Value of a name with its declared type; None as long as nothing was assigned."""

    kind: ast.ClassicalType | None
    value: Any = None


class Variables:
    """Scopes of names, the innermost last, and the classical bits of the program.

    Args:
        evaluator: Evaluates indices, and casts values to declared types.
        error: Returns the error at a place.
    """

    def __init__(self, evaluator: Evaluator, error: ErrorAt) -> None:
        self._evaluator, self._error = evaluator, error
        self._scopes: list[Scope] = [{}]
        self._bits: dict[Clbit, int | Qubit] = {}  # known values and measured qubits
        self._results: list[Clbit] = []

    def find(self, name: str) -> Constant | Variable | None:
        """Return the innermost symbol of a name."""
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def declare(self, name: ast.Identifier, symbol: Constant | Variable) -> None:
        """Add a name to the innermost scope."""
        scope = self._scopes[-1]
        if name.name in scope:
            raise self.declared_twice(name)
        scope[name.name] = symbol

    def declared_twice(self, name: ast.Identifier) -> CircuitError:
        """Return the error for a second declaration."""
        return self._error(name, f"`{name.name}` is declared twice.")

    def replace(self, name: ast.Identifier, symbol: Constant) -> None:
        """Add a name to the innermost scope, which may have it already."""
        self._scopes[-1][name.name] = symbol

    def declare_bits(self, name: ast.Identifier, kind: ast.BitType, value: object) -> None:
        """Declare classical bits, with a value unless it is None."""
        size = 1 if kind.size is None else self._evaluator.integer(kind.size)
        if not 0 <= size <= MOST_BITS:
            raise self._error(name, f"a register must have at most {MOST_BITS} bits (got {size}).")
        bits = Bits(tuple(Clbit() for _ in range(size)), single=kind.size is None)
        if len(self._scopes) == 1:  # bits of subroutines and loops are not results
            self._results += bits.items
        self.declare(name, Variable(kind, bits))
        if value is not None:
            self.set_bits(bits, value, name)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Open a scope within the current ones."""
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def body(self, names: Scope) -> Iterator[None]:
        """Open the scope of a subroutine or gate, within the global one only."""
        outer, self._scopes = self._scopes, [self._scopes[0], names]
        try:
            yield
        finally:
            self._scopes = outer

    def assign(
        self, target: ast.Identifier | ast.IndexedIdentifier, value: Any, node: ast.QASMNode
    ) -> None:
        """Assign a value to a variable, to bits, or to an element of an array."""
        name = target if isinstance(target, ast.Identifier) else target.name
        symbol = self.find(name.name)
        if not isinstance(symbol, Variable):
            known = "is not defined" if symbol is None else "is not a variable"
            raise self._error(name, f"`{name.name}` {known}.")
        if isinstance(symbol.value, Bits):
            self.set_bits(self._evaluator.value(as_expression(target)), value, node)
        elif isinstance(target, ast.Identifier):
            symbol.value = self._evaluator.cast(symbol.kind, value, node)
        else:
            self._set_element(symbol, target.indices, value, node)

    def set_bits(self, bits: Bits, value: Any, node: ast.QASMNode) -> None:
        """Give bits the values of other bits or of an integer, or measured qubits."""
        if isinstance(value, Bits):
            if len(value.items) != len(bits.items):
                raise self._error(
                    node, f"{len(bits.items)} bits cannot hold {len(value.items)} values."
                )
            values = [self._bits.get(v) if isinstance(v, Clbit) else v for v in value.items]
        elif isinstance(value, int):
            values = [(value >> place) & 1 for place in range(len(bits.items))]
        else:
            raise self._error(node, "a bit must be 0, 1, or the outcome of a measurement.")
        for bit, held in zip(bits.items, values, strict=True):
            self._bits.pop(bit, None)
            if held is not None:
                self._bits[bit] = held

    def bit_value(self, bit: object, node: ast.QASMNode) -> int:
        """Return the known value of a classical bit."""
        value = self._bits.get(bit) if isinstance(bit, Clbit) else bit
        if isinstance(value, int):
            return value
        name = f"`{shown(node)}`"
        if isinstance(bit, Qubit):
            raise self._error(node, f"a number is needed here (got the qubits {name}).")
        if value is None:
            raise self._error(node, f"{name} is read before it has a value.")
        raise self._error(
            node,
            f"{name} holds the outcome of a measurement. Gates that depend on it have no gradient; "
            "only final measurements are supported.",
        )

    def measured(self) -> list[Qubit]:
        """Return the measured qubits in the order of the bits that hold their outcomes."""
        held = (self._bits.get(bit) for bit in self._results)
        return [value for value in held if isinstance(value, Qubit)]

    def _set_element(
        self, symbol: Variable, indices: Sequence[Any], value: Any, node: ast.QASMNode
    ) -> None:
        places = [
            item for index in indices for item in (index if isinstance(index, list) else [index])
        ]
        target = symbol.value
        for index in places[:-1]:
            target = self._evaluator.select(target, [index], node)
        several = isinstance(places[-1], ast.RangeDefinition | ast.DiscreteSet)
        if several or not isinstance(target, list):
            raise self._error(node, "only single elements of an array can be assigned.")
        kind = symbol.kind.base_type if isinstance(symbol.kind, ast.ArrayType) else None
        place = self._evaluator.place(places[-1], len(target))
        if isinstance(target[place], list):
            raise self._error(node, "only single elements of an array can be assigned.")
        target[place] = self._evaluator.cast(kind, value, node)


def as_expression(node: Any) -> ast.Expression:
    """Return an operand such as ``q[0][1:2]`` as an expression."""
    if not isinstance(node, ast.IndexedIdentifier):
        return node  # type: ignore[no-any-return]
    result: ast.Expression = node.name
    for index in node.indices:
        result = ast.IndexExpression(result, index)
        result.span = node.span
    return result


def shown(node: ast.QASMNode) -> str:
    """Return a part of a program as it may be written in a file."""
    from openqasm3 import dumps

    return dumps(node).strip()
