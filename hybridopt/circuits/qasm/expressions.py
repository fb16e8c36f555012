"""Angles in OpenQASM 3: arithmetic, powers and functions of numbers and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from openqasm3 import ast
from qiskit.circuit import ClassicalRegister, ParameterExpression, QuantumRegister
from qiskit_qasm3_import import types
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.expression import ValueResolver

Register: TypeAlias = QuantumRegister | ClassicalRegister | list[Any] | tuple[Any, ...]
Number: TypeAlias = float | ParameterExpression
Value: TypeAlias = tuple[Any, types.Type]  # a number, qubits, a gate, ... and its type
LARGEST_WHOLE_POWER = 64

# methods of Qiskit by the names in OpenQASM (arcsin) and in Qiskit's exporter (asin)
_METHODS = {name: name for name in ("abs", "cos", "exp", "log", "sign", "sin", "tan")} | {
    f"{short}{name}": f"arc{name}" for name in ("cos", "sin", "tan") for short in ("a", "arc")
}


class AngleResolver(ValueResolver):
    """Resolver of OpenQASM expressions with powers, functions and checked ranges."""

    # Angles are floats, so that ``x0 * w0`` may be an angle. OpenQASM divides 1 / 2 as integers;
    # it is rejected because the author does not mean 0.

    __slots__ = ()

    def visit_Identifier(self, node: ast.Identifier) -> Value:  # noqa: N802
        """Return the value and the type of a name."""
        value, kind = super().visit_Identifier(node)
        if isinstance(kind, types.Angle):
            kind = types.Float(kind.const, kind.size)
        return value, kind

    def visit_BinaryExpression(self, node: ast.BinaryExpression) -> Value:  # noqa: N802
        """Return a sum, product, quotient or power."""
        if node.op.name == "/":
            return self._quotient(node)
        if node.op.name == "**":
            return self._power(node, node.lhs, node.rhs)
        result: Value = super().visit_BinaryExpression(node)
        return result

    def visit_FunctionCall(self, node: ast.FunctionCall) -> Value:  # noqa: N802
        """Return a function of one number."""
        name = node.name.name
        if name == "sqrt" and len(node.arguments) == 1:
            return self._power(node, node.arguments[0], ast.FloatLiteral(0.5))
        if name not in _METHODS or len(node.arguments) != 1:
            known = ", ".join(sorted({*_METHODS, "sqrt"}))
            raise_from_node(
                node,
                f"unknown function '{name}' of {len(node.arguments)} numbers. Available: {known}.",
            )
        value, const = self._number(node.arguments[0])
        if isinstance(value, ParameterExpression):
            return getattr(value, _METHODS[name])(), types.Float(const)
        function = getattr(np, _METHODS[name])
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            return _computed(node, lambda: float(function(float(value)))), types.Float(const)

    def _index_collection(
        self,
        collection: Register,
        collection_type: types.Type,
        indexer: ast.DiscreteSet | list[ast.Expression | ast.RangeDefinition],
        base: ast.QASMNode,
    ) -> tuple[object, types.Type]:
        index = indexer[0] if isinstance(indexer, list) and len(indexer) == 1 else None
        if isinstance(collection_type, types.QubitArray) and isinstance(index, ast.RangeDefinition):
            chosen = self._chosen(collection, index)
            return chosen, types.QubitArray(len(chosen))
        try:
            result: tuple[object, types.Type] = super()._index_collection(
                collection, collection_type, indexer, base
            )
        except IndexError:
            got = f" (got {self._whole(index)})" if isinstance(index, ast.Expression) else ""
            raise_from_node(base, f"an index must be within the {len(collection)} qubits{got}.")
        return result

    def _chosen(self, register: Register, node: ast.RangeDefinition) -> list[object]:
        """Return the qubits of a range such as ``q[0:-1]``, which includes its end."""
        size = len(register)
        step = 1 if node.step is None else self._whole(node.step)
        first = 0 if node.start is None else self._whole(node.start)
        last = size - 1 if node.end is None else self._whole(node.end)
        first, last = (place + size if place < 0 else place for place in (first, last))
        chosen = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
        if not chosen or not (0 <= first < size and 0 <= last < size):
            raise_from_node(node, f"a range must be within the {size} qubits.")
        return [register[place] for place in chosen]

    def _whole(self, node: ast.Expression) -> int:
        value, _ = self._number(node)
        if not isinstance(value, int):
            raise_from_node(node, f"an index must be an integer (got {value}).")
        return value

    def _quotient(self, node: ast.BinaryExpression) -> Value:
        (above, const_above), (below, const_below) = self._number(node.lhs), self._number(node.rhs)
        const = const_above and const_below
        if isinstance(above, int) and isinstance(below, int) and below:
            if above % below:
                raise_from_node(
                    node,
                    f"{above}/{below} is the integer {above // below} in OpenQASM. Write "
                    f"{above}.0/{below}.",
                )
            return above // below, types.Int(const)
        return _computed(node, lambda: above / below), types.Float(const)

    def _power(self, node: ast.QASMNode, base: ast.Expression, exponent: ast.Expression) -> Value:
        (value, const_base), (power, const_power) = self._number(base), self._number(exponent)
        const = const_base and const_power
        if isinstance(value, int) and isinstance(power, int) and 0 <= power <= LARGEST_WHOLE_POWER:
            return value**power, types.Int(const)
        if isinstance(value, int):
            value = float(value)  # integers could become too large
        return _computed(node, lambda: value**power), types.Float(const)

    def _number(self, node: ast.Expression) -> tuple[Number, bool]:
        value, kind = self.visit(node)
        if not isinstance(kind, types.Int | types.Uint | types.Float):
            raise_from_node(node, f"an operand must be a number (got '{kind.pretty()}').")
        return value, kind.const


def _computed(node: ast.QASMNode, compute: Callable[[], Number]) -> Number:
    try:
        value = compute()
    except (ArithmeticError, ValueError) as error:
        raise_from_node(node, f"the expression has no value: {error}.")
    if isinstance(value, complex):
        raise_from_node(node, f"an angle must be real (got {value}).")
    return value
