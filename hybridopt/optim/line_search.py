"""How far to go along a direction: backtracking until the loss has decreased enough."""

from __future__ import annotations

import math
from collections.abc import Callable

SUFFICIENT = 1e-4  # share of the predicted decrease that is asked for (Nocedal & Wright, p. 33)
SHORTEST, LONGEST = 0.1, 0.5  # of the previous length: bounds on the interpolated one


def backtrack(
    loss_at: Callable[[float], float],
    loss: float,
    slope: float,
    *,
    resolution: float,
    max_evaluations: int,
) -> float | None:
    r"""Find a step length by Armijo backtracking, starting at 1.

    A length :math:`t` is accepted when

    .. math::
        L(t) \le L(0) + 10^{-4}\, t\, L'(0).

    Otherwise the next one minimizes the parabola through :math:`L(0), L'(0), L(t)`, within 0.1
    and 0.5 of :math:`t`. Where the predicted decrease drowns in the loss's rounding error, a
    length is accepted if the loss does not increase, and none shorter is tried.

    References:
        Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithm 3.1 and section 3.5.
    """
    length = 1.0
    for _ in range(max_evaluations):
        drowned = -slope * length <= resolution * abs(loss)
        tried = loss_at(length)
        if tried <= (loss if drowned else loss + SUFFICIENT * length * slope):
            return length
        if drowned:
            return None
        length = _shorter(length, tried - loss, slope)
    return None


def _shorter(length: float, increase: float, slope: float) -> float:
    if not math.isfinite(increase):
        return SHORTEST * length
    vertex = -slope * length**2 / (2 * (increase - slope * length))
    return min(max(vertex, SHORTEST * length), LONGEST * length)
