r"""Comparison of simulators with the dense twin, before they are timed.

The deviation of an exact result is its largest error, relative to the largest possible value of
the sum of the outputs.

The deviation of a result with N shots is given in units of an upper bound of its standard error.
The bound is :math:`c / \sqrt N` for a value of one sample, where c is its largest possible value.
For the derivative with respect to weight j it is

.. math::
    \frac{c}{B \sqrt{2 N}} \sqrt{\sum_b s_{bj}^2}.

Here :math:`s_{bj}^2` is the sum of the squared derivatives of the angles of sample b with respect
to weight j. A shift rule multiplies its settings by coefficients whose squares sum to at most 1/2.

SPSA has an error due to its random directions, too. It is at most
:math:`\sqrt 3 \sum_b |v_b| s_{bj}`, where :math:`v_b` is the gradient of sample b with respect to
its angles; the fourth moment of random signs is at most 3. With a perturbation of size c, the
error due to shots is :math:`\sqrt 3 / c` times larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hybridopt.bench.dense_twin import Reference
from hybridopt.bench.peers.competitor import RANDOM, Competitor
from hybridopt.bench.problem import Problem
from hybridopt.gradients.spsa import SHOTS_PERTURBATION

MAX_STANDARD_ERRORS = 5.0  # largest deviation of a sampled result that passes
EXACT_UNIT, SHOTS_UNIT = "relative", "standard errors"
OUTPUTS, GRADIENT = ("the outputs", "have", "contain"), ("the gradient", "has", "contains")


@dataclass(frozen=True)
class Deviation:
    """Deviations of a result from the dense twin, and the largest deviation that passes.

    Both are infinite for a result that cannot be compared; `invalid` then has the reason.
    """

    outputs: float  # largest error of an output, in `unit`
    gradient: float  # largest error of a derivative, in `unit`
    allowed: float  # in `unit`
    unit: str  # EXACT_UNIT or SHOTS_UNIT
    invalid: str = ""

    @property
    def size(self) -> float:
        """Larger one of both deviations."""
        return max(self.outputs, self.gradient)

    @property
    def agrees(self) -> bool:
        """Whether the result may be timed."""
        return self.size <= self.allowed

    @property
    def reason(self) -> str:
        """Parts that do not agree, with their deviations; empty if the result agrees."""
        if self.agrees or self.invalid:
            return self.invalid
        allowed = f"({self.unit}), allowed {self.allowed:.0e}"
        outputs = f"the outputs deviate from the dense twin by {self.outputs:.1e} {allowed}"
        gradient = f"the gradient deviates from the dense twin by {self.gradient:.1e} {allowed}"
        if self.outputs <= self.allowed:
            return f"the outputs agree, but {gradient}"
        if self.gradient <= self.allowed:
            return f"the gradient agrees, but {outputs}"
        return f"{outputs}, and the gradient by {self.gradient:.1e}"


def deviation_from_twin(
    competitor: Competitor,
    problem: Problem,
    twin: Reference,
    values: np.ndarray,
    gradient: np.ndarray,
) -> Deviation:
    """Compare a result with the dense twin: shapes, finite real numbers, then their errors."""
    random = competitor.kind == RANDOM
    sampled = problem.shots is not None
    unit = SHOTS_UNIT if sampled or random else EXACT_UNIT
    allowed = MAX_STANDARD_ERRORS if unit == SHOTS_UNIT else competitor.tolerance
    parts = (OUTPUTS, values, twin.values), (GRADIENT, gradient, twin.gradient)
    if invalid := ", ".join(filter(None, (_invalid(*part) for part in parts))):
        return Deviation(math.inf, math.inf, allowed, unit, invalid)
    value_error = problem.scale / math.sqrt(problem.shots) if problem.shots else problem.scale
    gradient_error = np.full(len(twin.gradient), problem.scale)
    if unit == SHOTS_UNIT:
        gradient_error = _standard_errors(problem, twin, random=random)
        if not sampled:
            value_error = competitor.tolerance * problem.scale / MAX_STANDARD_ERRORS
    # the bound is zero for an angle without influence, but rounding errors remain
    gradient_error = np.maximum(gradient_error, competitor.tolerance * problem.scale)
    by_value = np.abs(values - twin.values) / value_error
    by_gradient = np.abs(gradient - twin.gradient) / gradient_error
    return Deviation(float(by_value.max()), float(by_gradient.max()), allowed, unit)


def _invalid(words: tuple[str, str, str], found: np.ndarray, expected: np.ndarray) -> str:
    """Return why an array cannot be compared with the twin's; empty if it can."""
    name, has, contains = words
    if found.dtype.kind not in "fiu":
        return f"{name} {has} the type {found.dtype}, expected real numbers"
    if found.shape != expected.shape:
        return f"{name} {has} shape {found.shape}, expected {expected.shape}"
    if np.isnan(found).any():
        return f"{name} {contains} NaN"
    return "" if np.isfinite(found).all() else f"{name} {contains} infinite numbers"


def _standard_errors(problem: Problem, twin: Reference, *, random: bool) -> np.ndarray:
    batch, count = len(twin.values), problem.shots or math.inf
    root: np.ndarray = np.sqrt((twin.slopes**2).sum(0))
    shots = problem.scale / (batch * math.sqrt(2 * count)) * root
    directions = (twin.steepness[:, None] * twin.slopes).sum(0) / batch
    return math.sqrt(3) * (directions + shots / SHOTS_PERTURBATION) if random else shots
