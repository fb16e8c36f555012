"""Gradient rules by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hybridopt import _validation
from hybridopt.errors import ArgumentTypeError
from hybridopt.gradients.adjoint import Adjoint
from hybridopt.gradients.base import GradientRule
from hybridopt.gradients.parameter_shift import ParameterShift
from hybridopt.gradients.spsa import Spsa

GRADIENTS: Mapping[str, Callable[[], GradientRule]] = {
    ParameterShift.name: ParameterShift,
    Adjoint.name: Adjoint,
    Spsa.name: Spsa,
}


def create(gradient: str | GradientRule) -> GradientRule:
    """The gradient rule of this name; an instance is returned as it is.

    Raises:
        UnknownNameError: With the nearest names.
        ArgumentTypeError: If it is neither a name nor a rule.

    Example:
        >>> from hybridopt.gradients import create
        >>> create("spsa")
        Spsa(perturbation=None, directions=1, seed=None)
    """
    if isinstance(gradient, str):
        return GRADIENTS[_validation.choice("gradient", gradient, GRADIENTS)]()
    if isinstance(gradient, type) or not isinstance(gradient, GradientRule):
        raise ArgumentTypeError(
            f"Argument `gradient` must be one of {', '.join(GRADIENTS)}, or an instance such as "
            f"hybridopt.gradients.Spsa(), but is {gradient!r}."
        )
    return gradient
