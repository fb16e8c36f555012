"""Numbers of a study in words, for recommendations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hybridopt.compare.results import Results
from hybridopt.compare.statistics import Interval, mean_and_deviation, percent


def metric_of(results: Results, method: str) -> tuple[float, float | None]:
    """Mean and deviation of the test metric."""
    return mean_and_deviation([run.test_metric for run in results.runs_of(method)])


def mean_of(results: Results, method: str, quantity: str) -> float:
    """Mean of a quantity."""
    return mean_and_deviation([getattr(run, quantity) for run in results.runs_of(method)])[0]


def comparisons_of(methods: Sequence[str]) -> int:
    """Of one of the methods with all others."""
    return max(1, len(methods) - 1)


def level(results: Results, methods: Sequence[str]) -> str:
    """Which interval it is."""
    others = comparisons_of(methods)
    corrected = f", Bonferroni for {others} comparisons" if others > 1 else ""
    return f"{percent(results.confidence)} paired t interval{corrected}"


def interval_words(found: Interval | None, label: str) -> str:
    """A difference of the metric."""
    if found is None:
        return "unknown, as fewer than two seeds came to their end in both"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] in {label}"


def ratio_words(found: Interval | None, one: str, other: str) -> str:
    """What one method spends in multiples of another, from the interval of the logarithm."""
    if found is None:
        return (
            f"how they compare is unknown, as fewer than two seeds can be set against each other "
            f"in {one} and {other}"
        )
    mean, low, high = (math.exp(min(value, 700.0)) for value in (found.mean, found.low, found.high))
    return f"{mean:.2g} times [{low:.2g}, {high:.2g}] as much as {other}"


def amount(value: float) -> str:
    """Three digits, and no powers of ten for large ones."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plus_minus(deviation: float | None) -> str:
    """A deviation, if there is one."""
    return "" if deviation is None else f" ± {deviation:.3f}"


def seeds_of(results: Results, method: str) -> str:
    """How many runs came to their end."""
    return counted(len(results.runs_of(method)), "seed")


def failures_words(results: Results, judged: Sequence[str]) -> str:
    """A sentence for each method with failed runs: how many, and whether it was left aside."""
    text = ""
    for method in results.methods:
        done, runs = len(results.runs_of(method)), len(results.seeds)
        if done == runs:
            continue
        text += f" Of {method}, {runs - done} of {counted(runs, 'run')} failed"
        if not done:
            text += "."
        elif method in judged:
            text += "; it is judged by the others."
        else:
            mean, _ = metric_of(results, method)
            text += f", so it is left aside (its others have a mean of {mean:.3f})."
    return text


def counted(number: int, noun: str) -> str:
    """A number of things, in the singular where it is 1."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names in a row."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
