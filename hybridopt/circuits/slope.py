"""Slopes of angles that are linear in a parameter."""

from __future__ import annotations

from qiskit.circuit import Parameter, ParameterExpression


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
