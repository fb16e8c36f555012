"""Gradient rules by name."""

from __future__ import annotations

from collections.abc import Mapping

from hybridopt import checks
from hybridopt.errors import UnsupportedError
from hybridopt.gradients.parameter_shift import ParameterShift

GradientRule = ParameterShift
GRADIENTS: Mapping[str, type[GradientRule]] = {ParameterShift.name: ParameterShift}
NOT_YET_AVAILABLE = ("adjoint", "spsa")


def create(gradient: str | GradientRule) -> GradientRule:
    """The gradient rule of this name; an instance is returned as it is.

    Raises:
        UnknownNameError: With the nearest names.
        UnsupportedError: For a rule that this version does not have yet.
    """
    if isinstance(gradient, ParameterShift):
        return gradient
    name = checks.choice("gradient", gradient, [*GRADIENTS, *NOT_YET_AVAILABLE])
    if name in NOT_YET_AVAILABLE:
        raise UnsupportedError(
            f'gradient="{name}" is not available yet. Use gradient="parameter-shift".'
        )
    return GRADIENTS[name]()
