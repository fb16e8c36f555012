r"""Whether a simulator found the right values and gradient, before it is timed.

Exact results are compared with the dense twin; the deviation is that of the worst number, relative
to the largest value that the sum of the outputs can take.

Of results with N shots, the deviation is counted in standard errors that are never exceeded: a
value of one sample has at most :math:`c / \sqrt N` (c its largest value), the derivative by weight
j at most

.. math::
    \frac{c}{B \sqrt{2 N}} \sqrt{\sum_b s_{bj}^2},

where :math:`s_{bj}^2` sums the squared slopes of sample b's angles by weight j: a shift rule
weighs its settings by coefficients whose squares sum to one half at most.

SPSA's estimate varies by random directions too: by at most :math:`\sqrt 3 \sum_b |v_b| s_{bj}`,
with :math:`v_b` the gradient of sample b's share by its angles (a fourth moment of random signs is
at most 3), and its shots count :math:`\sqrt 3 / c` times as much for a perturbation of c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hybridopt.bench.peers import Competitor
from hybridopt.bench.peers.competitor import RANDOM
from hybridopt.bench.problem import Problem
from hybridopt.bench.reference import Reference
from hybridopt.gradients.spsa import SHOTS_PERTURBATION

MAX_STANDARD_ERRORS = 5.0
EXACT_UNIT, SHOTS_UNIT = "relative", "standard errors"


@dataclass(frozen=True)
class Verdict:
    """How far a result is off, and how far it may be.

    Attributes:
        deviation: In ``unit``.
        allowed: Likewise.
        unit: ``"relative"`` or ``"standard errors"``.
    """

    deviation: float
    allowed: float
    unit: str

    @property
    def agrees(self) -> bool:
        """Whether it may be timed; NaN may not."""
        return self.deviation <= self.allowed


def judge(
    competitor: Competitor,
    problem: Problem,
    twin: Reference,
    values: np.ndarray,
    gradient: np.ndarray,
) -> Verdict:
    """Compare a result with the dense twin's; a wrong shape deviates without bound."""
    random = competitor.kind == RANDOM
    sampled = problem.shots is not None
    unit = SHOTS_UNIT if sampled or random else EXACT_UNIT
    allowed = MAX_STANDARD_ERRORS if unit == SHOTS_UNIT else competitor.tolerance
    if np.shape(values) != twin.values.shape or np.shape(gradient) != twin.gradient.shape:
        return Verdict(math.inf, allowed, unit)
    value_error = problem.scale / math.sqrt(problem.shots) if problem.shots else problem.scale
    gradient_error = np.full(len(twin.gradient), problem.scale)
    if unit == SHOTS_UNIT:
        gradient_error = _standard_errors(problem, twin, random=random)
        if not sampled:
            value_error = competitor.tolerance * problem.scale / MAX_STANDARD_ERRORS
    # an angle without influence has no error at all: rounding is allowed for
    gradient_error = np.maximum(gradient_error, competitor.tolerance * problem.scale)
    by_value = np.abs(values - twin.values) / value_error
    by_gradient = np.abs(gradient - twin.gradient) / gradient_error
    deviation = np.concatenate([by_value.ravel(), by_gradient]).max()  # NaN stays NaN
    return Verdict(float(deviation), allowed, unit)


def _standard_errors(problem: Problem, twin: Reference, *, random: bool) -> np.ndarray:
    batch = len(twin.values)
    root = np.sqrt((twin.slopes**2).sum(0))
    shots: np.ndarray = np.zeros(len(root))
    if problem.shots is not None:
        shots = problem.scale / (batch * math.sqrt(2 * problem.shots)) * root
    if not random:
        return shots
    directions = math.sqrt(3) * (twin.steepness[:, None] * twin.slopes).sum(0) / batch
    total: np.ndarray = directions + shots * math.sqrt(3) / SHOTS_PERTURBATION
    return total
