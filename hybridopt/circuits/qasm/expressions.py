"""Values of OpenQASM expressions: numbers, angles with parameters, bits, ranges and arrays."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from openqasm3 import ast
from qiskit.circuit import ParameterExpression

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.qasm import arithmetic
from hybridopt.circuits.qasm.arithmetic import LARGEST_INTEGER, WIDTH, NoValueError
from hybridopt.circuits.qasm.values import Bits, Duration, Number, SizedInteger

MOST_ITEMS = 1 << 20  # of a range
MOST_ELEMENTS = 1 << 16  # of an array without values, or of joined registers


class Context(ABC):
    """Base class of the interpreter: the part that expressions need."""

    version: int

    @abstractmethod
    def lookup(self, node: ast.Identifier) -> Any:
        """Return the value of a name."""

    @abstractmethod
    def bit_value(self, bit: object, node: ast.QASMNode) -> int:
        """Return the known value of a classical bit."""

    @abstractmethod
    def call(self, node: ast.FunctionCall) -> Any:
        """Return the result of a subroutine."""

    @abstractmethod
    def measure(self, node: ast.QuantumMeasurement) -> Any:
        """Measure qubits."""

    @abstractmethod
    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of the node."""

    @abstractmethod
    def has_subroutine(self, name: str) -> bool:
        """Return whether the file defines a subroutine of this name."""


class Evaluator:
    """Evaluation of expressions that do not depend on measurements."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._whole = False  # whether the expression must be an integer

    def value_for(self, kind: Any, node: ast.QASMNode) -> Any:
        """Return the value of an expression that a variable of a type will hold."""
        outer, self._whole = self._whole, isinstance(kind, ast.IntType | ast.UintType)
        try:
            return self.value(node)
        finally:
            self._whole = outer

    def value(self, node: ast.QASMNode) -> Any:
        """Return the value of an expression."""
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise self.context.error(node, f"`{kind}` expressions are not supported.")
        try:
            return method(node)
        except NoValueError as error:
            raise self.context.error(node, str(error)) from None

    def number(self, node: ast.Expression) -> Number:
        """Return a number, or an expression of parameters; known bits become integers."""
        return self._as_number(self.value(node), node)

    def angle(self, node: ast.Expression) -> float | ParameterExpression:
        """Return a finite angle in radians, or an expression of parameters."""
        value = self.number(node)
        if isinstance(value, ParameterExpression):
            return value
        if not math.isfinite(value):
            raise self.context.error(node, f"an angle must be finite (got {value}).")
        return float(value)

    def integer(self, node: ast.Expression) -> int:
        """Return an integer."""
        value = self._as_number(self.value_for(ast.IntType(), node), node)
        if not isinstance(value, int):
            raise self._not_integer(node, value)
        return int(value)

    def truth(self, node: ast.Expression) -> bool:
        """Return whether a condition holds; it must not depend on inputs or measurements."""
        value = self.number(node)
        if isinstance(value, ParameterExpression):
            raise self.context.error(node, arithmetic.CONDITION)
        return bool(value)

    def items(self, node: ast.Expression | ast.RangeDefinition | ast.DiscreteSet) -> Sequence[Any]:
        """Return the values that a loop runs over."""
        if isinstance(node, ast.RangeDefinition):
            return self.range(node, None)
        if isinstance(node, ast.DiscreteSet):
            return [self.number(value) for value in node.values]
        value = self.value(node)
        if isinstance(value, Bits):
            return [self.context.bit_value(bit, node) for bit in value.items]
        if isinstance(value, list):
            return value
        raise self.context.error(node, "a loop needs a range, a set, an array or bits.")

    def range(self, node: ast.RangeDefinition, size: int | None) -> range:
        """Return the integers of a range, whose end is included.

        Args:
            node: Start, step and end.
            size: Number of elements of the indexed register or array, of which negative numbers
                count backwards; None for the range of a loop.
        """
        step = 1 if node.step is None else self.integer(node.step)
        if size is None and (node.start is None or node.end is None):
            raise self.context.error(node, "the range needs a start and an end.")
        if step == 0:
            raise self.context.error(node, "the step of a range must not be 0.")
        first = 0 if node.start is None else self.integer(node.start)
        last = (size or 0) - 1 if node.end is None else self.integer(node.end)
        if size is not None:
            first, last = (place + size if place < 0 else place for place in (first, last))
        chosen = range(first, last + (1 if step > 0 else -1), step)
        if size is not None and not (chosen and 0 <= first < size and 0 <= last < size):
            raise self.context.error(node, f"the range must be within the {size} elements.")
        if chosen and abs(last - first) // abs(step) >= MOST_ITEMS:
            raise self.context.error(node, f"the range must be at most {MOST_ITEMS} integers.")
        return chosen

    def select(self, value: Any, index: Any, node: ast.QASMNode) -> Any:
        """Return the elements of bits, of an array or of an integer at an index."""
        if isinstance(index, list):
            for part in index[:-1]:
                value = self.select(value, [part], node)
            index = index[-1]
        length = _length(value)
        if length is None:
            raise self.context.error(node, "an index needs a register, an array or an integer.")
        if isinstance(index, ast.RangeDefinition):
            places: Sequence[int] = self.range(index, length)
        elif isinstance(index, ast.DiscreteSet):
            places = [self.place(item, length) for item in index.values]
        else:
            place = self.place(index, length)
            if isinstance(value, Bits):
                return Bits((value.items[place],), single=True)
            return value[place] if isinstance(value, list) else (value >> place) & 1
        if isinstance(value, Bits):
            return Bits(tuple(value.items[place] for place in places))
        if isinstance(value, list):
            return [value[place] for place in places]
        return sum(((value >> place) & 1) << k for k, place in enumerate(places))

    def place(self, node: ast.Expression, length: int) -> int:
        """Return an index among ``length`` elements; negative ones count backwards."""
        index = self.integer(node)
        if not -length <= index < length:
            raise self.context.error(node, f"the index must be below {length} (got {index}).")
        return index % length

    def cast(self, kind: Any, value: Any, node: ast.QASMNode) -> Any:
        """Return a value as a variable of the declared type holds it; any value for None."""
        if isinstance(kind, ast.ArrayType):
            return self._array(kind, value, node, 0)
        if isinstance(kind, ast.ComplexType):
            raise self.context.error(node, "complex numbers are not supported.")
        if kind is None or isinstance(kind, ast.BitType):
            return value
        if not isinstance(kind, ast.DurationType):
            return self._cast_number(kind, self._as_number(value, node), node)
        if not isinstance(value, Duration):
            raise self.context.error(node, "a duration such as 100ns is needed here.")
        return value

    def _cast_number(self, kind: Any, number: Number, node: ast.QASMNode) -> Number:
        if arithmetic.num_names(number) > arithmetic.MOST_NAMES:
            raise self.context.error(node, arithmetic.TOO_LONG)
        if isinstance(kind, ast.FloatType | ast.AngleType):
            return number if isinstance(number, ParameterExpression) else float(number)
        if isinstance(number, ParameterExpression):
            raise self.context.error(node, "an expression of inputs must be a float or an angle.")
        if isinstance(kind, ast.BoolType):
            return bool(number)
        if not math.isfinite(number):
            raise self._not_integer(node, number)
        if kind.size is not None and 1 <= (size := self.integer(kind.size)) <= WIDTH:
            signed = isinstance(kind, ast.IntType)
            return SizedInteger(math.trunc(number), size, signed=signed)
        return math.trunc(number)

    def empty_array(self, kind: ast.ArrayType, node: ast.QASMNode) -> list[Any]:
        """Return an array whose elements have no value yet."""
        lengths = [self.integer(length) for length in kind.dimensions]
        if not 0 <= math.prod(lengths) <= MOST_ELEMENTS:
            raise self.context.error(node, f"an array must have at most {MOST_ELEMENTS} elements.")
        result: Any = None
        for length in reversed(lengths):
            result = [copy.deepcopy(result) for _ in range(length)]
        return list(result)

    def _array(self, kind: ast.ArrayType, value: Any, node: ast.QASMNode, depth: int) -> Any:
        if depth == len(kind.dimensions):
            return self.cast(kind.base_type, value, node)
        length = self.integer(kind.dimensions[depth])
        if not isinstance(value, list) or len(value) != length:
            raise self.context.error(node, f"the array must have {length} elements.")
        return [self._array(kind, item, node, depth + 1) for item in value]

    def _as_number(self, value: Any, node: ast.QASMNode) -> Number:
        if isinstance(value, Bits):
            return self._as_integer(value, node)
        if isinstance(value, bool | int | float | ParameterExpression):
            return value
        raise self.context.error(node, "a number is needed here.")

    def _as_integer(self, bits: Bits, node: ast.QASMNode) -> int:
        values = [self.context.bit_value(bit, node) for bit in bits.items]
        return sum(value << place for place, value in enumerate(values))

    def _not_integer(self, node: ast.QASMNode, value: object) -> CircuitError:
        return self.context.error(node, f"an integer is needed here (got {value}).")

    # ---- one method per kind of expression

    def _IntegerLiteral(self, node: ast.IntegerLiteral) -> int:  # noqa: N802
        if node.value > LARGEST_INTEGER:
            raise self.context.error(node, arithmetic.TOO_LARGE)
        return node.value

    @staticmethod
    def _literal(node: ast.FloatLiteral | ast.BooleanLiteral) -> float | bool:
        return node.value

    _FloatLiteral = _BooleanLiteral = _literal

    def _BitstringLiteral(self, node: ast.BitstringLiteral) -> Bits:  # noqa: N802
        return Bits(tuple((node.value >> place) & 1 for place in range(node.width)))

    def _DurationLiteral(self, node: ast.DurationLiteral) -> Duration:  # noqa: N802
        return Duration(node.value, node.unit.name)

    def _ArrayLiteral(self, node: ast.ArrayLiteral) -> list[Any]:  # noqa: N802
        return [self.value(item) for item in node.values]

    def _Identifier(self, node: ast.Identifier) -> Any:  # noqa: N802
        return self.context.lookup(node)

    def _QuantumMeasurement(self, node: ast.QuantumMeasurement) -> Any:  # noqa: N802
        return self.context.measure(node)

    def _Cast(self, node: ast.Cast) -> Any:  # noqa: N802
        return self.cast(node.type, self.value_for(node.type, node.argument), node)

    def _SizeOf(self, node: ast.SizeOf) -> int:  # noqa: N802
        value = self.value(node.target)
        for _ in range(0 if node.index is None else min(self.integer(node.index), WIDTH)):
            value = value[0] if isinstance(value, list) and value else None
        length = None if isinstance(value, int) else _length(value)
        if length is None:
            raise self.context.error(node, "`sizeof` needs an array or a register.")
        return length

    def _Concatenation(self, node: ast.Concatenation) -> Any:  # noqa: N802
        left, right = self.value(node.lhs), self.value(node.rhs)
        if (_length(left) or 0) + (_length(right) or 0) > MOST_ELEMENTS:
            raise self.context.error(node, f"`++` gives more than {MOST_ELEMENTS} elements.")
        if isinstance(left, Bits) and isinstance(right, Bits):
            return Bits(left.items + right.items)
        if isinstance(left, list) and isinstance(right, list):
            return left + right
        raise self.context.error(node, "`++` joins registers or arrays.")

    def _IndexExpression(self, node: ast.IndexExpression) -> Any:  # noqa: N802
        return self.select(self.value(node.collection), node.index, node)

    def _UnaryExpression(self, node: ast.UnaryExpression) -> Any:  # noqa: N802
        if node.op.name == "!":
            return not self.truth(node.expression)
        if node.op.name == "-":
            return -self._operand(node.expression)
        value = self.value(node.expression)
        if not isinstance(value, Bits):
            raise self.context.error(node, "`~` needs bits of a known length.")
        return Bits(tuple(1 - self.context.bit_value(bit, node) for bit in value.items))

    def _BinaryExpression(self, node: ast.BinaryExpression) -> Any:  # noqa: N802
        name = node.op.name
        if name == "&&":
            return self.truth(node.lhs) and self.truth(node.rhs)
        if name == "||":
            return self.truth(node.lhs) or self.truth(node.rhs)
        terms = [node]  # long sums are evaluated without recursion
        while (
            isinstance(first := terms[-1].lhs, ast.BinaryExpression) and first.op.name not in "&&||"
        ):
            terms.append(first)
        value = self._operand(first)
        for term in reversed(terms):
            right = self._operand(term.rhs)
            try:
                value = arithmetic.binary(
                    term.op.name, value, right, self.context.version, whole=self._whole
                )
            except NoValueError as error:
                raise self.context.error(term, str(error)) from None
        return value

    def _operand(self, node: ast.Expression) -> Number | Duration:
        value = self.value(node)
        return value if isinstance(value, Duration) else self._as_number(value, node)

    def _FunctionCall(self, node: ast.FunctionCall) -> Any:  # noqa: N802
        if self.context.has_subroutine(node.name.name):
            return self.context.call(node)
        return arithmetic.call(node.name.name, [self.number(item) for item in node.arguments])


def _length(value: Any) -> int | None:
    if isinstance(value, Bits):
        return len(value.items)
    if isinstance(value, list):
        return len(value)
    return WIDTH if isinstance(value, int) else None
