r"""Frequencies of the outputs of a circuit in its inputs.

A rotation by the angle :math:`k x + c` multiplies amplitudes by :math:`e^{-i (k x + c) \lambda}`.
Here :math:`\lambda` are the eigenvalues of its generator. An output is a sum of products of
amplitudes and conjugated amplitudes. One rotation has the frequencies :math:`k (\lambda -
\lambda')`; several rotations have the sums of their frequencies.

References:
    Schuld, Sweke and Meyer, Phys. Rev. A 103, 032430 (2021), arXiv:2008.08605.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.exceptions import QiskitError

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import ConversionError

PARTS = 16  # nested decomposed gates rotate by x / 2, x / 4, ...
ROUNDING = 1e-12  # of a factor such as 3 * (1 / 3), relative
POINTS = (0.29, 0.71, 1.33)  # values of a parameter, for difference quotients
LARGEST_ROUNDING = 1e-6  # of difference quotients, relative to the values


@dataclass(frozen=True)
class Spectrum:
    """Frequencies 0, step, 2 step, ..., order * step of one input."""

    step: float  # greatest common divisor of the frequencies; 1 if all are 0
    order: int  # R; 0 if no output depends on the input

    @property
    def size(self) -> int:
        """Number of Fourier coefficients, 2 R + 1: a constant, sines and cosines."""
        return 2 * self.order + 1


def spectra(
    circuit: QuantumCircuit, program: CircuitProgram, inputs: Sequence[Parameter]
) -> tuple[Spectrum, ...]:
    """Return the spectrum of every input."""
    if program.amplitudes is not None:
        raise ConversionError(
            "A circuit with amplitudes as inputs has no Fourier series. Use angles as inputs."
        )
    written = (
        angle
        for item in circuit.data
        for angle in getattr(item.operation, "params", ())
        if isinstance(angle, ParameterExpression)
    )
    list(_multiples(written, inputs, parts=1))
    frequencies: dict[Parameter, set[int]] = {parameter: {0} for parameter in inputs}
    for number, expression in enumerate(program.row_expressions):
        for parameter, multiple in _multiples([expression], inputs, parts=PARTS):
            shifts = {multiple * gap for gap in program.row_frequencies[number]}
            known = frequencies[parameter]
            frequencies[parameter] = {old + shift for old in known for shift in shifts}
    result = []
    for units in frequencies.values():  # in units of 1 / (2 PARTS)
        step = math.gcd(*units)
        order = max(units) // step if step else 0
        result.append(Spectrum(step / (2 * PARTS) if step else 1.0, order))
    return tuple(result)


def _multiples(
    angles: Iterable[ParameterExpression], inputs: Sequence[Parameter], parts: int
) -> Iterator[tuple[Parameter, int]]:
    """Yield the inputs in some angles and their factors in units of 1 / parts."""
    for angle, parameter in itertools.product(angles, inputs):
        if parameter not in angle.parameters:
            continue
        where = f"Input `{parameter.name}` of angle `{angle}` must have a fixed integer factor"
        factor = fixed_slope(angle, parameter)
        if factor is None or isinstance(factor, complex):
            raise ConversionError(
                f"{where} (got another function). Transform inputs in torch, before the layer."
            )
        multiple = round(factor * parts)
        if abs(factor * parts - multiple) > ROUNDING * max(1, abs(multiple)):
            raise ConversionError(
                f"{where} (got {factor:.6g}). Scale inputs in torch, before the layer."
            )
        yield parameter, multiple


def fixed_slope(angle: ParameterExpression, parameter: Parameter) -> float | complex | None:
    """Return the derivative of an angle with respect to a parameter if it is a number."""
    if _has_other_slopes(angle, parameter):
        return None
    try:
        slope = angle.gradient(parameter)
    except RuntimeError:  # Qiskit does not differentiate `sign`
        return None
    if isinstance(slope, ParameterExpression):
        if slope.parameters:
            return None
        slope = slope.numeric()
    return slope if isinstance(slope, complex) else float(slope)


def _has_other_slopes(angle: ParameterExpression, parameter: Parameter) -> bool:
    """Return True if difference quotients of an angle differ, without its symbolic derivative.

    The symbolic derivative of nested products grows exponentially with their depth.
    """
    others = [one for one in angle.parameters if one != parameter]
    quotients, largest = [], 1.0
    for start in (0.37, 0.83) if others else (0.37,):
        at = {one: start + 0.11 * place for place, one in enumerate(others)}
        try:
            values = [complex(angle.bind({**at, parameter: x}).numeric()) for x in POINTS]
        except (QiskitError, ArithmeticError, ValueError, TypeError, RuntimeError):
            return False  # outside of the domain of a function
        for (x, value), (y, other) in itertools.pairwise(zip(POINTS, values, strict=True)):
            quotients.append((other - value) / (y - x))
        largest = max(largest, *map(abs, values))
    differences = [abs(one - quotients[0]) for one in quotients]
    return any(difference > LARGEST_ROUNDING * largest for difference in differences)
