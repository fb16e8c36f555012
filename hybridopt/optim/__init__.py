"""Optimizers of torch by name, and Newton's method."""

from hybridopt.optim.newton import Newton
from hybridopt.optim.registry import OPTIMIZERS, OptimizerSpec, create, spec_of

__all__ = ["OPTIMIZERS", "Newton", "OptimizerSpec", "create", "spec_of"]
