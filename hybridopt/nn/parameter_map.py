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

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.spectrum import fixed_slope
from hybridopt.errors import ArgumentError
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
    variables: tuple[int, ...]  # columns of the variables
    text: str  # text of the expression
    names: tuple[str, ...]  # names of the variables

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
                f"The derivative of angle `{self.text}` with respect to `{name}` must be finite "
                "(got NaN or infinity). Use other values, or transform them before the layer."
            )


def is_transformed(tensor: Tensor) -> bool:
    """Return True if a torch transform wraps the tensor, so that its values cannot be read."""
    functorch = torch._C._functorch
    return bool(
        functorch.is_functorch_wrapped_tensor(tensor) or functorch.is_legacy_batchedtensor(tensor)
    )


def within_period(angles: Float64[Tensor, "N angles"]) -> Float64[Tensor, "N angles"]:
    """Reduce angles to at most one period [rad], because large ones would round off shifts."""
    if angles.is_meta or not angles.numel():
        return angles
    if not is_transformed(angles):
        largest = np.abs(angles.detach().cpu().numpy()).max()  # faster than in torch
        if largest <= PERIOD:
            return angles
    beyond = (angles.abs() > PERIOD) & torch.isfinite(angles)
    half = torch.where(beyond, angles / 2, 0.0)
    return torch.where(beyond, 2 * torch.atan2(half.sin(), half.cos()), angles)


class _Expressions:
    """Expressions in the same variables: sums of linear terms, and functions for the others."""

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
        # terms, not a matrix: a small matrix product starts threads that slow the simulator down
        self.variables = torch.from_numpy(columns[0].astype(np.int64))  # column per term
        self.slopes = torch.from_numpy(columns[1].copy())
        self.angles = torch.from_numpy(columns[2].astype(np.int64))  # angle per term
        self.constant = torch.from_numpy(constant)  # [rad]
        self.functions = tuple(functions)  # angles that are not linear
        tensors = self.constant, self.variables, self.slopes, self.angles
        self._arrays = tuple(tensor.numpy() for tensor in tensors)
        bare = np.array_equal(columns[2], np.arange(len(expressions))) and not constant.any()
        self._is_bare = bare and bool((columns[1] == 1).all())  # each angle is one variable
        self._is_same = self._is_bare and np.array_equal(columns[0], np.arange(len(variables)))

    def __call__(self, values: Float64[Tensor, "N variables"]) -> Float64[Tensor, "N angles"]:
        if self._is_same:
            return values
        where = values.device
        if self._is_bare:
            return values.index_select(-1, self.variables.to(where))
        terms = values.index_select(-1, self.variables.to(where)) * self.slopes.to(where)
        constant = self.constant.to(where).expand(len(values), -1)
        angles = constant.index_add(-1, self.angles.to(where), terms)
        if not self.functions:
            return angles
        columns = list(angles.unbind(-1))
        for function in self.functions:
            columns[function.angle] = function(values)
        return torch.stack(columns, dim=-1)

    def numbers(
        self, values: Float64[np.ndarray, "N variables"]
    ) -> Float64[np.ndarray, "N angles"]:
        """Return the same angles without autograd, faster for few values."""
        if self.functions:
            return self(torch.from_numpy(values)).numpy()
        constant, variables, slopes, places = self._arrays
        angles = np.tile(constant, (len(values), 1))
        np.add.at(angles.T, places, (values[:, variables] * slopes).T)
        return angles


class AngleMap:
    """Map from inputs and weights to the angles of a program."""

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
        # unused weights are left out, so that no gradient is computed for them
        self._with_weights = not used.isdisjoint(weights)
        variables = [*inputs, *weights] if self._with_weights else inputs
        self._num_amplitudes = program.num_amplitudes
        self._rows = _Expressions(program.row_expressions, variables)
        self._shared = _Expressions(program.shared_expressions, weights)

    def rows(
        self, x: Float64[Tensor, "B I"], weight: Float64[Tensor, " P"] | Float64[Tensor, "B P"]
    ) -> Float64[Tensor, "B R"]:
        """Return the angles per sample [rad]; weights may be given per sample."""
        values = torch.cat([x, weight.expand(len(x), -1)], dim=-1) if self._with_weights else x
        rows = self._rows(values)
        if not self._num_amplitudes:
            return within_period(rows)
        amplitudes, angles = rows.tensor_split([self._num_amplitudes], dim=-1)
        largest = amplitudes.detach().abs().amax(-1, keepdim=True)
        scaled = torch.where(largest > 0, amplitudes / largest, amplitudes)  # no overflow
        lengths = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
        if not (lengths.is_meta or is_transformed(lengths)):
            _check_lengths((lengths * largest).detach()[:, 0], normalize=self._normalize)
        return torch.cat([scaled / lengths, within_period(angles)], dim=-1)

    def shared(self, weight: Float64[Tensor, " P"]) -> Float64[Tensor, "1 O"]:
        """Return the angles shared by all samples [rad]."""
        return within_period(self._shared(weight[None, :]))

    def shared_numbers(self, weight: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "1 O"]:
        """Return the angles shared by all samples [rad], not reduced to a period."""
        return self._shared.numbers(weight[None, :])


def _check_lengths(lengths: Float64[Tensor, " N"], *, normalize: bool) -> None:
    """Reject amplitudes that are all zero, or, without ``normalize``, of a norm other than 1."""
    if not lengths.numel() or not torch.isfinite(lengths).all():
        return  # the executor names the number that is not finite
    sample = int(lengths.argmin())
    if lengths[sample] == 0:
        raise ArgumentError(
            f"The amplitudes of sample {sample} must not all be 0: a state has norm 1."
        )
    off = (lengths - 1).abs()
    sample = int(off.argmax())
    if not normalize and off[sample] > NORM_TOLERANCE:
        raise ArgumentError(
            f"The amplitudes of sample {sample} must have norm 1 (got {float(lengths[sample]):.6g})"
            ". Pass `normalize=True` to divide them by their norm."
        )


def _slopes(expression: ParameterExpression) -> dict[Parameter, float] | None:
    """Return the derivatives with respect to all parameters, or None if one is not constant."""
    if isinstance(expression, Parameter):
        return {expression: 1.0}
    slopes = {}
    for parameter in expression.parameters:
        slope = fixed_slope(expression, parameter)
        if slope is None:
            return None
        if isinstance(slope, complex):
            raise _complex_angle(expression)
        slopes[parameter] = slope
    return slopes


def _function(expression: ParameterExpression, variables: Sequence[Parameter]) -> Function:
    """Return the expression as a torch function of its variables."""
    import sympy  # changes the warning filters when imported; few circuits need it

    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    formula = _formula(expression, dict(zip(variables, stand_ins, strict=True))).evalf(17)
    if formula.has(sympy.I):
        raise _complex_angle(expression)
    unknown = {str(f.func) for f in formula.atoms(sympy.Function)} - set(TORCH_FUNCTIONS)
    if unknown:
        raise CircuitError(
            f"Angle `{expression}` must use functions of torch (got {', '.join(sorted(unknown))})."
        )
    formula = formula.replace(
        sympy.sign, sympy.Function("sign")
    )  # otherwise lambdify writes code for floats
    function: Function = sympy.lambdify(stand_ins, formula, modules=[TORCH_FUNCTIONS])
    if formula.free_symbols:
        return function
    return lambda *values: function(*values) + 0 * values[0]  # parameters that cancelled


def _formula(expression: ParameterExpression, stand_ins: dict[Parameter, Any]) -> Any:
    """Return the expression in sympy with other symbols."""
    import sympy

    try:
        formula = expression.sympify()
    except (AttributeError, TypeError, sympy.SympifyError):
        formula = None
    if isinstance(formula, sympy.Expr):
        return formula.subs({p.sympify(): symbol for p, symbol in stand_ins.items()})
    # Qiskit (2.6.2) cannot convert a number to the power of a parameter, so its text is parsed
    named = expression.subs({p: Parameter(str(symbol)) for p, symbol in stand_ins.items()})
    names = {"conj": sympy.conjugate, **{str(symbol): symbol for symbol in stand_ins.values()}}
    try:
        return sympy.parse_expr(str(named), local_dict=names)
    except SyntaxError as error:  # 1i
        raise _complex_angle(expression) from error


def _complex_angle(expression: ParameterExpression) -> CircuitError:
    return CircuitError(f"Angle `{expression}` must be real (got a complex expression).")
