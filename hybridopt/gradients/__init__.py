"""Gradient rules for circuits."""

from hybridopt.gradients.parameter_shift import ParameterShift
from hybridopt.gradients.registry import GRADIENTS, GradientRule, create

__all__ = ["GRADIENTS", "GradientRule", "ParameterShift", "create"]
