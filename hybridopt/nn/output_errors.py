"""Standard errors of the outputs of sampled circuits, as shots give them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from hybridopt.execution.job import Outputs


@dataclass(frozen=True)
class SquaredErrors:
    """Sum of squared standard errors and their number; sums can be subtracted."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: SquaredErrors) -> SquaredErrors:
        return SquaredErrors(self.total + other.total, self.count + other.count)

    def __sub__(self, other: SquaredErrors) -> SquaredErrors:
        return SquaredErrors(self.total - other.total, self.count - other.count)

    @property
    def root_mean_square(self) -> float | None:
        """Root mean square of the standard errors; None without sampled outputs."""
        return math.sqrt(max(0.0, self.total) / self.count) if self.count else None


class OutputErrors:
    """Record of the variances of a circuit's outputs in forward passes.

    Attributes:
        last: Squared standard errors of the last forward pass, ``(S, B, K)``; None if exact.
        seen: Sum over all forward passes with shots.
    """

    def __init__(self) -> None:
        self.last: Outputs | None = None
        self.seen = SquaredErrors()

    def __reduce__(self) -> tuple[type[OutputErrors], tuple[()]]:
        return OutputErrors, ()

    def record(self, variances: Outputs | None) -> None:
        """Store the variances of a forward pass."""
        self.last = variances
        if variances is not None:
            known = variances[np.isfinite(variances)]  # not those of impossible conditions
            self.seen += SquaredErrors(float(known.sum()), known.size)


class HasOutputErrors:
    """Module that records the standard errors of its circuits' outputs."""

    @property
    def _errors(self) -> OutputErrors:
        """Record of this module; copies and pickles start with an empty one."""
        record: OutputErrors = self.__dict__.setdefault("_output_errors", OutputErrors())
        return record


def explain_errors(seen: SquaredErrors) -> list[str]:
    """Return the line of `explain` about standard errors, if outputs were sampled."""
    error = seen.root_mean_square
    if error is None:
        return []
    return [f"Standard error of an output so far: {error:.2g} (root mean square)."]


def errors_seen(network: nn.Module) -> SquaredErrors:
    """Return the squared standard errors of all circuit outputs of a network so far."""
    recorded = (m._errors.seen for m in network.modules() if isinstance(m, HasOutputErrors))
    return sum(recorded, SquaredErrors())
