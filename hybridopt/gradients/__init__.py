"""Gradient rules for circuits."""

from hybridopt.gradients.adjoint import Adjoint
from hybridopt.gradients.base import Evaluation, GradientRule, Memory
from hybridopt.gradients.parameter_shift import ParameterShift
from hybridopt.gradients.registry import GRADIENTS, create
from hybridopt.gradients.spsa import Spsa

__all__ = [
    "GRADIENTS",
    "Adjoint",
    "Evaluation",
    "GradientRule",
    "Memory",
    "ParameterShift",
    "Spsa",
    "create",
]
