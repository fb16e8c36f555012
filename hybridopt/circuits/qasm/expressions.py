"""Values of OpenQASM 3 expressions: numbers, angles with parameters, bits, ranges and arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from openqasm3 import ast
from qiskit.circuit import ParameterExpression

from hybridopt.errors import CircuitError

Number: TypeAlias = bool | int | float | ParameterExpression
CONSTANTS = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e,
}  # fmt: skip
LARGEST_INTEGER = 1 << 64  # larger ones are mistakes, and Python would compute them without end
MOST_ITEMS = 1 << 20  # of a range

# methods of ParameterExpression, by the names in OpenQASM (arcsin) and in Qiskit's exporter (asin)
_METHODS = {name: name for name in ("abs", "cos", "exp", "log", "sign", "sin", "tan")} | {
    f"{short}{name}": f"arc{name}" for name in ("cos", "sin", "tan") for short in ("a", "arc")
} | {"ln": "log"}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": lambda value, places: value << min(places, 64), ">>": operator.rshift,
}  # fmt: skip
_OF_INTEGERS: dict[str, Callable[..., Number]] = {
    "popcount": int.bit_count, "mod": operator.mod, "ceiling": math.ceil, "floor": math.floor,
}  # fmt: skip


@dataclass(frozen=True)
class Bits:
    """Qubits or classical bits; a single one may be an element of a register or a name."""

    items: tuple[Any, ...]
    single: bool = False


@dataclass(frozen=True)
class Duration:
    """Time with its unit, one of s, ms, us, ns and dt."""

    value: float
    unit: str


class Context(Protocol):
    """Part of the interpreter that expressions need."""

    version: int

    def lookup(self, node: ast.Identifier) -> Any:
        """Return the value of a name."""

    def bit_value(self, bit: object, node: ast.QASMNode) -> int:
        """Return the known value of a classical bit."""

    def call(self, node: ast.FunctionCall) -> Any:
        """Return the result of a subroutine."""

    def measure(self, node: ast.QuantumMeasurement) -> Any:
        """Measure qubits."""

    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of the node."""

    def has_subroutine(self, name: str) -> bool:
        """Return whether the file defines a subroutine of this name."""


class Evaluator:
    """Evaluation of expressions that do not depend on measurements.

    ``1 / 2``, which OpenQASM defines as a division of integers, is refused: a file that contains
    it rarely means 0.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def value(self, node: ast.Expression) -> Any:
        """Return the value of an expression; known classical bits become integers."""
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise self.context.error(node, f"`{kind}` expressions are not supported.")
        return method(node)

    def number(self, node: ast.Expression) -> Number:
        """Return a number, or an expression of parameters."""
        value = self.value(node)
        if isinstance(value, Bits):
            value = self._as_integer(value, node)
        if not isinstance(value, bool | int | float | ParameterExpression):
            raise self.context.error(node, "a number is needed here.")
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise self.context.error(node, "the integer has more than 64 bits.")
        return value

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
        value = self.number(node)
        if not isinstance(value, int):
            raise self.context.error(node, f"an integer is needed here (got {value}).")
        return int(value)

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
        """Return the integers of a range, whose end is included; negative ones count backwards."""
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
        outside = size is not None and not (chosen and 0 <= first < size and 0 <= last < size)
        if outside or len(chosen) > MOST_ITEMS:
            bound = f"within the {size} elements" if outside else f"at most {MOST_ITEMS} integers"
            raise self.context.error(node, f"the range must be {bound}.")
        return chosen

    def select(self, value: Any, index: Any, node: ast.QASMNode) -> Any:
        """Return the elements of bits, of an array or of an integer at an index."""
        if isinstance(index, list):
            for part in index[:-1]:
                value = self.select(value, [part], node)
            index = index[-1]
        length = len(value.items) if isinstance(value, Bits) else None
        if isinstance(value, list):
            length = len(value)
        if length is None and not isinstance(value, int):
            raise self.context.error(node, "an index needs a register, an array or an integer.")
        if isinstance(index, ast.RangeDefinition):
            places: Sequence[int] = self.range(index, 64 if length is None else length)
        elif isinstance(index, ast.DiscreteSet):
            places = [self._place(self.integer(item), length, node) for item in index.values]
        else:
            place = self._place(self.integer(index), length, node)
            if isinstance(value, Bits):
                return Bits((value.items[place],), single=True)
            return value[place] if isinstance(value, list) else (value >> place) & 1
        if isinstance(value, Bits):
            return Bits(tuple(value.items[place] for place in places))
        if isinstance(value, list):
            return [value[place] for place in places]
        return sum(((value >> place) & 1) << k for k, place in enumerate(places))

    def _place(self, index: int, length: int | None, node: ast.QASMNode) -> int:
        size = 64 if length is None else length
        if not -size <= index < size:
            raise self.context.error(node, f"the index must be below {size} (got {index}).")
        return index % size

    def cast(self, kind: ast.ClassicalType | None, value: Any, node: ast.QASMNode) -> Any:
        """Return a value as a variable of the declared type holds it."""
        if isinstance(kind, ast.ArrayType):
            return self._array(kind, value, node, 0)
        if isinstance(value, Bits) and not isinstance(kind, ast.BitType):
            value = self._as_integer(value, node)
        if isinstance(kind, ast.FloatType | ast.AngleType):
            return value if isinstance(value, ParameterExpression) else self._real(value, node)
        if isinstance(kind, ast.ComplexType | ast.StretchType):
            raise self.context.error(node, "complex numbers and stretches are not supported.")
        if isinstance(value, ParameterExpression):
            raise self.context.error(node, "an expression of inputs must be a float or an angle.")
        if isinstance(kind, ast.BoolType):
            return bool(value)
        if isinstance(kind, ast.UintType | ast.IntType):
            number = math.trunc(self._real(value, node))
            size = None if kind.size is None else self.integer(kind.size)
            return number % (1 << size) if size and isinstance(kind, ast.UintType) else number
        return value

    def _array(self, kind: ast.ArrayType, value: Any, node: ast.QASMNode, depth: int) -> Any:
        if depth == len(kind.dimensions):
            return self.cast(kind.base_type, value, node)
        length = self.integer(kind.dimensions[depth])
        if not isinstance(value, list) or len(value) != length:
            raise self.context.error(node, f"the array must have {length} elements.")
        return [self._array(kind, item, node, depth + 1) for item in value]

    def _real(self, value: Any, node: ast.QASMNode) -> float | int:
        if isinstance(value, bool | int | float):
            return value
        raise self.context.error(node, "a number is needed here.")

    def _as_integer(self, bits: Bits, node: ast.QASMNode) -> int:
        values = [self.context.bit_value(bit, node) for bit in bits.items]
        return sum(value << place for place, value in enumerate(values))

    @staticmethod
    def _literal(node: Any) -> Any:
        return node.value

    _IntegerLiteral = _FloatLiteral = _BooleanLiteral = _BitstringLiteral = _literal

    def _Identifier(self, node: ast.Identifier) -> Any:  # noqa: N802
        return self.context.lookup(node)

    def _DurationLiteral(self, node: ast.DurationLiteral) -> Duration:  # noqa: N802
        unit = node.unit.name
        return Duration(node.value, {"µs": "us"}.get(unit, unit))

    def _ArrayLiteral(self, node: ast.ArrayLiteral) -> list[Any]:  # noqa: N802
        return [self.value(item) for item in node.values]

    def _QuantumMeasurement(self, node: ast.QuantumMeasurement) -> Any:  # noqa: N802
        return self.context.measure(node)

    def _Cast(self, node: ast.Cast) -> Any:  # noqa: N802
        return self.cast(node.type, self.value(node.argument), node)

    def _SizeOf(self, node: ast.SizeOf) -> int:  # noqa: N802
        value = self.value(node.target)
        depth = 0 if node.index is None else self.integer(node.index)
        for _ in range(depth):
            value = value[0] if isinstance(value, list) and value else None
        if isinstance(value, Bits):
            return len(value.items)
        if isinstance(value, list):
            return len(value)
        raise self.context.error(node, "`sizeof` needs an array or a register.")

    def _Concatenation(self, node: ast.Concatenation) -> Any:  # noqa: N802
        left, right = self.value(node.lhs), self.value(node.rhs)
        if isinstance(left, Bits) and isinstance(right, Bits):
            return Bits(left.items + right.items)
        if isinstance(left, list) and isinstance(right, list):
            return left + right
        raise self.context.error(node, "`++` joins registers or arrays.")

    def _IndexExpression(self, node: ast.IndexExpression) -> Any:  # noqa: N802
        return self.select(self.value(node.collection), node.index, node)

    def _UnaryExpression(self, node: ast.UnaryExpression) -> Any:  # noqa: N802
        value = self.number(node.expression)
        if node.op.name == "-":
            return -value
        if node.op.name == "!":
            return not self.truth(node.expression)
        return self._complement(node.expression, self.integer(node.expression))

    def _complement(self, node: ast.Expression, value: int) -> int:
        inner = self.value(node)
        if not isinstance(inner, Bits):
            raise self.context.error(node, "`~` needs bits of a known length.")
        return value ^ ((1 << len(inner.items)) - 1)

    def truth(self, node: ast.Expression) -> bool:
        """Return whether a condition holds; it must not depend on inputs or measurements."""
        value = self.number(node)
        if isinstance(value, ParameterExpression):
            raise self.context.error(node, "a condition must not depend on inputs.")
        return bool(value)

    def _BinaryExpression(self, node: ast.BinaryExpression) -> Any:  # noqa: N802
        name = node.op.name
        if name == "&&":
            return self.truth(node.lhs) and self.truth(node.rhs)
        if name == "||":
            return self.truth(node.lhs) or self.truth(node.rhs)
        left, right = self.number(node.lhs), self.number(node.rhs)
        if name == "/":
            return self._quotient(node, left, right)
        if name == "**" or (name == "^" and self.context.version == 2):
            return self._power(node, left, right)
        if name in _BITWISE:
            bits = [self.integer(side) for side in (node.lhs, node.rhs)]
            return self._computed(node, lambda: _BITWISE[name](*bits))
        if name in _COMPARISONS:
            if isinstance(left, ParameterExpression) or isinstance(right, ParameterExpression):
                raise self.context.error(node, "a condition must not depend on inputs.")
            return _COMPARISONS[name](left, right)
        return self._computed(node, lambda: _ARITHMETIC[name](left, right))

    def _quotient(self, node: ast.BinaryExpression, above: Any, below: Any) -> Number:
        if self.context.version == 3 and isinstance(above, int) and isinstance(below, int) and below:
            if above % below:
                raise self.context.error(
                    node,
                    f"{above}/{below} divides integers, which gives {above // below} in OpenQASM "
                    f"3. Write {above}.0/{below}.",
                )
            return above // below
        return self._computed(node, lambda: above / below)

    def _power(self, node: ast.QASMNode, base: Any, exponent: Any) -> Number:
        if isinstance(base, int) and isinstance(exponent, int) and 0 <= exponent <= 64:
            return self._computed(node, lambda: base**exponent)
        return self._computed(
            node, lambda: (float(base) if isinstance(base, int) else base) ** exponent
        )

    def _FunctionCall(self, node: ast.FunctionCall) -> Any:  # noqa: N802
        name = node.name.name
        if self.context.has_subroutine(name):
            return self.context.call(node)
        values = [self.number(argument) for argument in node.arguments]
        if name in {"pow", "power"} and len(values) == 2:
            return self._power(node, *values)
        if name == "sqrt" and len(values) == 1:
            return self._power(node, values[0], 0.5)
        if name in _OF_INTEGERS:
            return self._computed(node, lambda: _OF_INTEGERS[name](*values))
        if name not in _METHODS or len(values) != 1:
            known = ", ".join(sorted({*_METHODS, *_OF_INTEGERS, "pow", "sqrt"}))
            raise self.context.error(
                node,
                f"function `{name}` of {len(values)} arguments is not defined. Available: {known}.",
            )
        method = _METHODS[name]
        if isinstance(values[0], ParameterExpression):
            result: ParameterExpression = getattr(values[0], method)()
            return result
        return self._computed(node, lambda: _of_number(method, float(values[0])))

    def _computed(self, node: ast.QASMNode, compute: Callable[[], Any]) -> Number:
        try:
            value = compute()
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self.context.error(node, f"the expression has no value: {error}.") from None
        if isinstance(value, complex):
            raise self.context.error(node, f"the expression must be real (got {value}).")
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise self.context.error(node, "the integer has more than 64 bits.")
        result: Number = value
        return result


def _of_number(method: str, value: float) -> float:
    if method == "abs":
        return abs(value)
    if method == "sign":
        return math.copysign(1.0, value) if value else 0.0
    return float(getattr(math, method.replace("arc", "a"))(value))
