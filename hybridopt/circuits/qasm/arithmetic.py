"""Operators and functions of OpenQASM on numbers, expressions of parameters and durations."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from qiskit.circuit import Parameter, ParameterExpression
from qiskit.exceptions import QiskitError

from hybridopt.circuits.qasm.values import Duration, Number, SizedInteger

CONSTANTS = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e,
}  # fmt: skip
LARGEST_INTEGER = 1 << 64  # larger ones are mistakes, and Python would compute them without end
MOST_NAMES = 10_000  # in an expression; each use of a variable repeats its names
TOO_LONG = f"an expression must have at most {MOST_NAMES:,} names."
_NAME = re.compile(r"[A-Za-z_]\w*")
CONDITION = "a condition must not depend on inputs."
TOO_LARGE = "an integer must have at most 64 bits."
WIDTH = 64  # bits of an integer without a declared size

# methods of ParameterExpression, by the names in OpenQASM (arcsin) and in Qiskit's exporter (asin)
_METHODS = {name: name for name in ("abs", "cos", "exp", "log", "sign", "sin", "tan")} | {
    f"{short}{name}": f"arc{name}" for name in ("cos", "sin", "tan") for short in ("a", "arc")
} | {"ln": "log"}  # fmt: skip


def _remainder(left: Any, right: Any) -> Any:
    """Return the remainder with the sign of the left operand, as in C."""
    if isinstance(left, int) and isinstance(right, int):
        return (abs(left) % abs(right)) * (-1 if left < 0 else 1)
    return math.fmod(left, right)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "%": _remainder,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": lambda value, places: value << min(places, WIDTH + 1), ">>": operator.rshift,
}  # fmt: skip
_OF_NUMBERS: dict[str, Callable[..., Number]] = {
    "popcount": int.bit_count, "mod": _remainder, "ceiling": math.ceil, "floor": math.floor,
}  # fmt: skip


class NoValueError(ValueError):
    """Raised when an expression has no value; the message is for the user."""


def binary(name: str, left: Any, right: Any, version: int, *, whole: bool = False) -> Any:
    """Return the value of ``left name right`` in a version of the language.

    ``whole`` is for expressions that must be integers: quotients are then truncated. A result that
    does not fit the declared size of both operands is refused, because it would wrap around.
    """
    value = _binary(name, left, right, version, whole)
    if isinstance(left, SizedInteger) and isinstance(right, SizedInteger):
        widest = max(left.range, right.range, key=len)
        if isinstance(value, int) and value not in widest and name not in _COMPARISONS:
            raise NoValueError(f"`{name}` leaves the declared size (got {value}). Use more bits.")
    return value


def _binary(name: str, left: Any, right: Any, version: int, whole: bool) -> Any:
    if isinstance(left, Duration) or isinstance(right, Duration):
        return _of_durations(name, left, right)
    if name in _COMPARISONS:
        if isinstance(left, ParameterExpression) or isinstance(right, ParameterExpression):
            raise NoValueError(CONDITION)
        return _COMPARISONS[name](left, right)
    if name == "/":
        return _quotient(left, right, version, whole=whole)
    if name == "**" or (name == "^" and version == 2):
        return power(left, right)
    if name in _BITWISE:
        if not (isinstance(left, int) and isinstance(right, int)):
            raise NoValueError(f"`{name}` needs integers.")
        return _computed(_BITWISE[name], left, right)
    return _computed(_OPERATORS[name], left, right)


def power(base: Any, exponent: Any) -> Any:
    """Return a power; of integers, an integer if the exponent is not negative."""
    if isinstance(base, int) and not (isinstance(exponent, int) and 0 <= exponent <= WIDTH):
        base = float(base)
    return _computed(operator.pow, base, exponent)


def num_names(value: object) -> int:
    """Return the number of names in an expression, with repetitions; 1 for other values."""
    plain = isinstance(value, Parameter) or not isinstance(value, ParameterExpression)
    return 1 if plain else len(_NAME.findall(str(value)))


def call(name: str, values: list[Any]) -> Any:
    """Return the value of a function of the language."""
    if name == "power" and len(values) == 2:
        return power(*values)
    if name == "sqrt" and len(values) == 1:
        return power(values[0], 0.5)
    if name in _OF_NUMBERS:
        return _computed(_OF_NUMBERS[name], *values)
    if name not in _METHODS or len(values) != 1:
        known = ", ".join(sorted({*_METHODS, *_OF_NUMBERS, "power", "sqrt"}))
        raise NoValueError(
            f"function `{name}` of {len(values)} arguments is not defined. Available: {known}."
        )
    method = _METHODS[name]
    return _computed(_applied, method, values[0])


def _quotient(above: Any, below: Any, version: int, *, whole: bool) -> Any:
    if version == 3 and isinstance(above, int) and isinstance(below, int) and below:
        truncated = abs(above) // abs(below) * (1 if (above < 0) == (below < 0) else -1)
        if above % below and not whole:  # a file that contains this rarely means the integer
            raise NoValueError(
                f"{above}/{below} divides integers, which gives {truncated} in OpenQASM 3. "
                f"Write {above}.0/{below}, or int({above}/{below})."
            )
        return truncated
    return _computed(operator.truediv, above, below)


def _of_durations(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, Duration) and isinstance(right, Duration):
        unit = left.unit if left.unit == right.unit else "s"
        try:
            pair = left.in_unit(unit), right.in_unit(unit)
        except ValueError as error:
            raise NoValueError(f"{error}.") from None
        if name in _COMPARISONS:
            return _COMPARISONS[name](*pair)
        if name in {"+", "-"}:
            return Duration(_OPERATORS[name](*pair), unit)
        if name == "/":
            return _computed(operator.truediv, *pair)
    elif name == "*":
        time, factor = (left, right) if isinstance(left, Duration) else (right, left)
        if isinstance(factor, int | float):
            return Duration(time.value * factor, time.unit)
    elif name == "/" and isinstance(right, int | float):
        return Duration(_computed(operator.truediv, left.value, right), left.unit)
    raise NoValueError(f"`{name}` is not defined for these durations.")


def _computed(compute: Callable[..., Any], *values: Any) -> Any:
    try:
        value = compute(*values)
    except (ArithmeticError, TypeError, ValueError, QiskitError):
        of_inputs = any(isinstance(one, ParameterExpression) for one in values)
        kind = "for inputs" if of_inputs else "that is a finite real number"
        raise NoValueError(f"the expression has no value {kind}.") from None
    if isinstance(value, complex):
        raise NoValueError("the expression has no value that is real.")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise NoValueError(TOO_LARGE)
    return value


def _applied(method: str, value: Any) -> Any:
    if isinstance(value, ParameterExpression):
        return getattr(value, method)()
    if method == "abs":
        return abs(value)
    if method == "sign":
        return math.copysign(1.0, value) if value else 0.0
    return float(getattr(math, method.replace("arc", "a"))(value))
