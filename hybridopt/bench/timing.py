"""Timing that survives a shared machine: alternatives in turn, medians, ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Comparison:
    """Two ways to do the same, timed in turn.

    Attributes:
        seconds: Median of the first.
        reference_seconds: Median of the second.
        ratio: Median of first / second, pair by pair, so that a slow minute hits both.
        repetitions: Pairs.
    """

    seconds: float
    reference_seconds: float
    ratio: float
    repetitions: int


def stopwatch(action: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median_seconds(action: Callable[[], object], *, repetitions: int) -> float:
    """Median wall seconds of some calls, after one that does not count."""
    action()
    return median(stopwatch(action) for _ in range(repetitions))


def compare(
    action: Callable[[], object], reference: Callable[[], object], *, repetitions: int
) -> Comparison:
    """Time two actions in turn, after one call of each that does not count."""
    action()
    reference()
    pairs = [(stopwatch(action), stopwatch(reference)) for _ in range(repetitions)]
    return Comparison(
        seconds=median(first for first, _ in pairs),
        reference_seconds=median(second for _, second in pairs),
        ratio=median(first / second for first, second in pairs),
        repetitions=repetitions,
    )
