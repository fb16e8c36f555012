r"""Which frequencies the outputs of a circuit have in its inputs.

A rotation by the angle :math:`k x + c` multiplies amplitudes by :math:`e^{-i (k x + c) \lambda}`,
with the eigenvalues :math:`\lambda` of its generator. An output is a sum of products of amplitudes
and conjugates of others, so a rotation brings the frequencies :math:`k (\lambda - \lambda')`,
and several bring the sums of theirs.

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

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import ConversionError

PARTS = 16  # gates that are taken apart, one within another, turn by a half, a quarter, ... of x
ROUNDING = 1e-12  # of a factor such as 3 * (1 / 3), relative


@dataclass(frozen=True)
class Spectrum:
    """The frequencies 0, step, 2 step, ..., order * step of one input."""

    step: float  # the largest number of which all are multiples; 1 if there is none but 0
    order: int  # R; 0 if no output depends on the input

    @property
    def size(self) -> int:
        """2 R + 1, a constant and a sine and a cosine each."""
        return 2 * self.order + 1


def spectra(
    circuit: QuantumCircuit, program: CircuitProgram, inputs: Sequence[Parameter]
) -> tuple[Spectrum, ...]:
    """The spectrum of every input."""
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
    for units in frequencies.values():  # of 1 / (2 PARTS)
        step = math.gcd(*units)
        order = max(units) // step if step else 0
        result.append(Spectrum(step / (2 * PARTS) if step else 1.0, order))
    return tuple(result)


def _multiples(
    angles: Iterable[ParameterExpression], inputs: Sequence[Parameter], parts: int
) -> Iterator[tuple[Parameter, int]]:
    """The inputs in some angles, and their factors there in units of 1 / parts."""
    for angle, parameter in itertools.product(angles, inputs):
        if parameter not in angle.parameters:
            continue
        where = f"angle `{angle}` contains input `{parameter.name}`"
        factor = fixed_slope(angle, parameter)
        if factor is None or isinstance(factor, complex):
            raise ConversionError(
                f"{where} in another way than times a fixed integer, so its frequencies are not "
                "fixed. Multiply and transform inputs in torch, in front of the layer."
            )
        multiple = round(factor * parts)
        if abs(factor * parts - multiple) > ROUNDING * max(1, abs(multiple)):
            raise ConversionError(
                f"{where} times {factor:.6g}, which is no integer. Scale inputs in torch, in front "
                "of the layer."
            )
        yield parameter, multiple


def fixed_slope(angle: ParameterExpression, parameter: Parameter) -> float | complex | None:
    """The derivative of an angle by a parameter if it is a number, else None."""
    try:
        slope = angle.gradient(parameter)
    except RuntimeError:  # Qiskit does not differentiate `sign`
        return None
    if isinstance(slope, ParameterExpression):
        if slope.parameters:
            return None
        slope = slope.numeric()
    return slope if isinstance(slope, complex) else float(slope)
