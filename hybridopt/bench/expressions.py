"""Angles of gates as functions of inputs and weights, in any library of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from hybridopt.errors import CircuitError

Array: TypeAlias = Any  # a torch tensor, a jax array, a numpy array
Angle: TypeAlias = Callable[[Array, Array], Array]  # of inputs (..., I) and weights (P,)
NUMPY_FUNCTIONS: dict[str, object] = {
    "Abs": np.abs,
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "conjugate": np.conj,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "pi": math.pi,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tan": np.tan,
}


def angle_function(
    value: float | ParameterExpression,
    inputs: Sequence[Parameter],
    weights: Sequence[Parameter],
    functions: Mapping[str, object],
) -> Angle:
    """A gate's parameter as a function of inputs and weights.

    Args:
        value: A number or an expression.
        inputs: Columns of the first argument.
        weights: Entries of the second.
        functions: The library's functions, by their names in sympy.

    Returns:
        A function of inputs ``(..., I)`` and weights ``(P,)``; its shape is that of the samples
        where an input is involved, else a scalar. Numbers stay numbers.
    """
    if not isinstance(value, ParameterExpression) or not value.parameters:
        number = float(value)
        return lambda _x, _w: number
    pick = {parameter: _column(i) for i, parameter in enumerate(inputs)}
    pick |= {parameter: _entry(i) for i, parameter in enumerate(weights)}
    variables = sorted(value.parameters, key=lambda parameter: parameter.name)
    slopes = [_number(value.gradient(parameter)) for parameter in variables]
    if any(slope is None for slope in slopes):
        return _nonlinear(value, [(variable, pick[variable]) for variable in variables], functions)
    offset = float(value.bind(dict.fromkeys(variables, 0.0)))
    return _linear([(pick[v], s) for v, s in zip(variables, slopes, strict=True) if s], offset)


def _linear(terms: Sequence[tuple[Angle, float | None]], offset: float) -> Angle:
    def angle(x: Array, w: Array) -> Array:
        total: Array = offset or None
        for pick, slope in terms:
            term = pick(x, w) if slope == 1 else slope * pick(x, w)
            total = term if total is None else total + term
        return 0.0 if total is None else total

    return angle


def _nonlinear(
    value: ParameterExpression,
    variables: Sequence[tuple[Parameter, Angle]],
    functions: Mapping[str, object],
) -> Angle:
    import sympy  # noqa: PLC0415  # importing it changes the warning filters; few circuits need it

    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    symbols = [variable.sympify() for variable, _ in variables]
    formula = value.sympify().subs(dict(zip(symbols, stand_ins, strict=True))).evalf()
    if formula.has(sympy.I):
        raise CircuitError(f"Angle `{value}` is complex. Angles must be real.")
    unknown = {str(f.func) for f in formula.atoms(sympy.Function)} - set(functions)
    if unknown:
        raise CircuitError(
            f"Angle `{value}` has functions that are not translated: {', '.join(sorted(unknown))}."
        )
    function = sympy.lambdify(stand_ins, formula, modules=[dict(functions)])
    return lambda x, w: function(*(pick(x, w) for _, pick in variables))


def _column(number: int) -> Angle:
    return lambda x, _w: x[..., number]


def _entry(number: int) -> Angle:
    return lambda _x, w: w[number]


def _number(value: object) -> float | None:
    if not isinstance(value, ParameterExpression):
        number = complex(value)  # type: ignore[call-overload]
    elif value.parameters:
        return None
    else:
        number = complex(value.numeric())
    if number.imag:
        raise CircuitError("An angle is complex. Angles must be real.")
    return float(number.real)
