"""Gradient rules for circuits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hybridopt import _validation
from hybridopt.gradients.adjoint import Adjoint
from hybridopt.gradients.base import Evaluation, GradientRule
from hybridopt.gradients.parameter_shift import ParameterShift
from hybridopt.gradients.spsa import Spsa

__all__ = ["GRADIENTS", "Adjoint", "Evaluation", "GradientRule", "ParameterShift", "Spsa", "create"]

GRADIENTS: Mapping[str, Callable[[], GradientRule]] = {
    rule.name: rule for rule in (ParameterShift, Adjoint, Spsa)
}


def create(gradient: str | GradientRule) -> GradientRule:
    """Return the gradient rule with this name; an instance is returned unchanged.

    Raises:
        UnknownNameError: If the name is unknown; the message suggests similar names.
        ArgumentTypeError: If ``gradient`` is neither a name nor a rule.

    Example:
        >>> from hybridopt.gradients import create
        >>> create("spsa")
        Spsa(perturbation=None, directions=1, seed=None)
    """
    if isinstance(gradient, str):
        return GRADIENTS[_validation.choice("gradient", gradient, GRADIENTS)]()
    known = f"one of {', '.join(GRADIENTS)}, or an instance such as hybridopt.gradients.Spsa()"
    rule: GradientRule = _validation.instance("gradient", gradient, GradientRule, known)
    return rule
