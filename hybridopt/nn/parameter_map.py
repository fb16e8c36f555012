"""Angles of a lowered circuit as torch functions of its inputs and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from qiskit.circuit import Parameter, ParameterExpression
from torch import Tensor

from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.spectrum import fixed_slope
from hybridopt.errors import ArgumentError, CircuitError
from hybridopt.execution.job import PERIOD

NAMES = ("abs", "acos", "arccos", "arcsin", "arctan", "asin", "atan", "cos", "exp", "log", "sign")
TORCH_FUNCTIONS: dict[str, object] = {
    name: getattr(torch, name) for name in (*NAMES, "sin", "sqrt", "tan")
}
TORCH_FUNCTIONS |= {"Abs": torch.abs, "conjugate": torch.conj, "pi": math.pi}
NORM_TOLERANCE = 1e-5  # of amplitudes in float32
Function = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class _AngleFunction:
    """An angle that is not linear in its variables."""

    angle: int
    function: Function
    variables: tuple[int, ...]  # their places
    text: str  # the expression
    names: tuple[str, ...]  # of the variables

    def __call__(self, values: Float64[Tensor, "N variables"]) -> Float64[Tensor, " N"]:
        picked = [values.select(-1, place) for place in self.variables]
        for name, variable in zip(self.names, picked, strict=True):
            if variable.requires_grad and not is_transformed(variable):
                check = partial(self._check_slope, name)
                variable.register_hook(check)  # type: ignore[no-untyped-call]
        return self.function(*picked)

    def _check_slope(self, name: str, slope: Tensor | None) -> None:
        if slope is None or slope.is_meta or is_transformed(slope):
            return
        if not torch.isfinite(slope).all():
            raise ArgumentError(
                f"The derivative of angle `{self.text}` with respect to `{name}` is not finite. "
                "Move the values away from there, or transform them in front of the layer."
            )


def is_transformed(tensor: Tensor) -> bool:
    """Whether a transformation of torch holds the tensor, so that its values are out of sight."""
    functorch = torch._C._functorch
    return bool(
        functorch.is_functorch_wrapped_tensor(tensor) or functorch.is_legacy_batchedtensor(tensor)
    )


def within_period(angles: Float64[Tensor, "N angles"]) -> Float64[Tensor, "N angles"]:
    """The same rotations by angles of at most one period [rad].

    A shift by pi/2 is lost in the rounding of a large angle, as is its sum with another one.
    """
    if angles.is_meta or not angles.numel():
        return angles
    if not is_transformed(angles) and bool((angles.detach().abs() <= PERIOD).all()):
        return angles
    beyond = (angles.abs() > PERIOD) & torch.isfinite(angles)
    half = torch.where(beyond, angles / 2, 0.0)
    return torch.where(beyond, 2 * torch.atan2(half.sin(), half.cos()), angles)


class _Expressions:
    """Expressions in the same variables: sums of linear terms, and functions for the others.

    The sums are no matrix product: most angles are one variable, and a product of small matrices
    wakes the threads of torch, which then compete with those of the simulator.
    """

    def __init__(
        self, expressions: Sequence[ParameterExpression], variables: Sequence[Parameter]
    ) -> None:
        terms: list[tuple[int, float, int]] = []
        constant = np.zeros(len(expressions))
        functions = []
        place = {variable: number for number, variable in enumerate(variables)}
        for angle, expression in enumerate(expressions):
            slopes = _slopes(expression)
            if slopes is None:
                used = sorted(expression.parameters, key=place.__getitem__)
                places, named = tuple(place[p] for p in used), tuple(p.name for p in used)
                function = _function(expression, used)
                functions.append(_AngleFunction(angle, function, places, str(expression), named))
                continue
            terms += [(place[parameter], slope, angle) for parameter, slope in slopes.items()]
            constant[angle] = float(expression.bind(dict.fromkeys(slopes, 0.0)))
        columns = np.array(terms, dtype=np.float64).reshape(-1, 3).T
        self.variables = torch.from_numpy(columns[0].astype(np.int64))  # of each linear term
        self.slopes = torch.from_numpy(columns[1].copy())
        self.angles = torch.from_numpy(columns[2].astype(np.int64))  # to which the term belongs
        self.constant = torch.from_numpy(constant)  # [rad]
        self.functions = tuple(functions)  # those that are not linear

    def __call__(self, values: Float64[Tensor, "N variables"]) -> Float64[Tensor, "N angles"]:
        where = values.device
        terms = values.index_select(-1, self.variables.to(where)) * self.slopes.to(where)
        constant = self.constant.to(where).expand(len(values), -1)
        angles = constant.index_add(-1, self.angles.to(where), terms)
        if not self.functions:
            return angles
        columns = list(angles.unbind(-1))
        for function in self.functions:
            columns[function.angle] = function(values)
        return torch.stack(columns, dim=-1)


class AngleMap:
    """The angles of a program, from parameters that samples bring (inputs) and weights."""

    def __init__(
        self,
        program: CircuitProgram,
        inputs: Sequence[Parameter],
        weights: Sequence[Parameter],
        *,
        normalize: bool = False,
    ) -> None:
        self._normalize = normalize  # whether amplitudes of another norm than 1 are accepted
        used = {parameter for row in program.row_expressions for parameter in row.parameters}
        # weights that no sample's angle contains stay out, or their gradient would be asked for
        self._with_weights = not used.isdisjoint(weights)
        variables = [*inputs, *weights] if self._with_weights else inputs
        self._num_amplitudes = program.num_amplitudes
        self._rows = _Expressions(program.row_expressions, variables)
        self._shared = _Expressions(program.shared_expressions, weights)

    def rows(
        self, x: Float64[Tensor, "B I"], weight: Float64[Tensor, " P"] | Float64[Tensor, "B P"]
    ) -> Float64[Tensor, "B R"]:
        """Angles that differ from sample to sample [rad]; weights may be given for each sample."""
        values = torch.cat([x, weight.expand(len(x), -1)], dim=-1) if self._with_weights else x
        rows = self._rows(values)
        if not self._num_amplitudes:
            return within_period(rows)
        amplitudes, angles = rows.tensor_split([self._num_amplitudes], dim=-1)
        lengths = torch.linalg.vector_norm(amplitudes, dim=-1, keepdim=True)
        if not (lengths.is_meta or is_transformed(lengths)):
            _check_lengths(lengths.detach()[:, 0], normalize=self._normalize)
        return torch.cat([amplitudes / lengths, within_period(angles)], dim=-1)

    def shared(self, weight: Float64[Tensor, " P"]) -> Float64[Tensor, "1 O"]:
        """Angles that all samples share [rad]."""
        return within_period(self._shared(weight[None, :]))


def _check_lengths(lengths: Float64[Tensor, " N"], *, normalize: bool) -> None:
    """Refuse amplitudes that are no state: all zero, or, unless asked for, of another norm."""
    if not lengths.numel() or not torch.isfinite(lengths).all():
        return  # the executor names the number that is not finite
    sample = int(lengths.argmin())
    if lengths[sample] == 0:
        raise ArgumentError(
            f"The amplitudes of sample {sample} must not all be 0: they give no state."
        )
    off = (lengths - 1).abs()
    sample = int(off.argmax())
    if not normalize and off[sample] > NORM_TOLERANCE:
        raise ArgumentError(
            f"The amplitudes of sample {sample} must have norm 1 (got {float(lengths[sample]):.6g})"
            ". Pass `normalize=True` to divide them by their norm."
        )


def _slopes(expression: ParameterExpression) -> dict[Parameter, float] | None:
    """Derivatives by every parameter if all are numbers, else None."""
    if isinstance(expression, Parameter):
        return {expression: 1.0}
    slopes = {}
    for parameter in expression.parameters:
        slope = fixed_slope(expression, parameter)
        if slope is None:
            return None
        if isinstance(slope, complex):
            raise CircuitError(f"Angle `{expression}` is complex. Angles must be real.")
        slopes[parameter] = slope
    return slopes


def _function(expression: ParameterExpression, variables: Sequence[Parameter]) -> Function:
    """The expression as a torch function of its variables."""
    import sympy  # importing it changes the warning filters; few circuits need it

    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    formula = _formula(expression, dict(zip(variables, stand_ins, strict=True))).evalf(17)
    if formula.has(sympy.I):
        raise CircuitError(f"Angle `{expression}` is complex. Angles must be real.")
    unknown = {str(f.func) for f in formula.atoms(sympy.Function)} - set(TORCH_FUNCTIONS)
    if unknown:
        raise CircuitError(
            f"Angle `{expression}` has functions that torch does not know: "
            f"{', '.join(sorted(unknown))}."
        )
    formula = formula.replace(sympy.sign, sympy.Function("sign"))  # or it is written for floats
    function: Function = sympy.lambdify(stand_ins, formula, modules=[TORCH_FUNCTIONS])
    if formula.free_symbols:
        return function
    return lambda *values: function(*values) + 0 * values[0]  # parameters that cancelled


def _formula(expression: ParameterExpression, stand_ins: dict[Parameter, Any]) -> Any:
    """The expression as sympy's, in other symbols."""
    import sympy

    try:
        formula = expression.sympify()
    except (AttributeError, TypeError, sympy.SympifyError):
        formula = None
    if isinstance(formula, sympy.Expr):
        return formula.subs({p.sympify(): symbol for p, symbol in stand_ins.items()})
    # Qiskit (2.6.2) cannot hand a number to the power of a parameter to sympy, but can write it
    named = expression.subs({p: Parameter(str(symbol)) for p, symbol in stand_ins.items()})
    names = {"conj": sympy.conjugate, **{str(symbol): symbol for symbol in stand_ins.values()}}
    try:
        return sympy.parse_expr(str(named), local_dict=names)
    except SyntaxError as error:  # 1i
        raise CircuitError(f"Angle `{expression}` is complex. Angles must be real.") from error
