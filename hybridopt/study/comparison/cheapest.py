"""The method that spends the least time or the fewest shots, if the runs tell it from the others.

Amounts are compared by the logarithm of their ratio, in pairs of the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hybridopt.errors import ArgumentError
from hybridopt.study.comparison.most_accurate import rivals
from hybridopt.study.comparison.recommendation import Recommendation
from hybridopt.study.comparison.results import Results
from hybridopt.study.comparison.statistics import Interval, interval, mean_and_deviation
from hybridopt.study.comparison.study_table import LABELS
from hybridopt.study.comparison.wording import (
    comparisons_of,
    level,
    listed,
    metric_of,
    plus_minus,
    ratio_words,
    seeds_of,
)

UNITS = {"time": "seconds", "shots": "shots"}


def cheapest(
    results: Results, ranked: Sequence[str], goal: str, at_least: float | None
) -> Recommendation:
    """The cheapest of the methods that are good enough, or the reason why none can be named."""
    label, unit = LABELS[results.metric_name], UNITS[goal]
    spending = [m for m in ranked if _costs(results, m, goal, None)[0] > 0]
    if goal == "shots" and not spending:
        raise ArgumentError(
            "No method of the study takes shots. Compare bridges with an executor that has some, "
            "as `executor=ho.AerExecutor(shots=1000)`, or choose another goal."
        )
    if at_least is None:
        good = [ranked[0], *rivals(results, ranked)]
        standard = f"is not told apart from the best test {label}"
        able = [m for m in good if m in spending]
    else:
        standard = f"reaches a test {label} of {at_least:g} with every seed"
        able = [m for m in spending if _always_reaches(results, m, at_least)]
    free = _free(results, ranked, at_least) if goal == "shots" else ""
    if not able:
        return _nobody(results, ranked, spending, standard, at_least, free)
    costs = {m: _costs(results, m, goal, at_least) for m in able}
    able.sort(key=lambda m: costs[m][0])
    best = able[0]
    text = f"it {standard} and takes {costs[best][0]:,.3g} {unit} of training to do so"
    if len(able) == 1:
        return Recommendation(best, f"{text}; no other method does.{free}", candidates=(best,))
    second = able[1]
    found = _log_ratio(results, best, second, goal, at_least, comparisons_of(able))
    ratio = ratio_words(found)
    if found is not None and found.high < 0:
        return Recommendation(
            best,
            f"{text}, against {costs[second][0]:,.3g} for {second}, the next: {ratio} as much "
            f"({level(results, able)}).{free}",
            candidates=(best,),
            interval=found,
        )
    near = [
        m
        for m in able[1:]
        if (one := _log_ratio(results, best, m, goal, at_least, comparisons_of(able))) is None
        or one.high >= 0
    ]
    return Recommendation(
        None,
        f"{best} takes the fewest {unit}, {costs[best][0]:,.3g}, but the difference to "
        f"{listed(near)} is noise: {ratio} as much as {second} ({level(results, able)}).{free}",
        decided=False,
        candidates=(best, *near),
        interval=found,
    )


def _nobody(
    results: Results,
    ranked: Sequence[str],
    spending: Sequence[str],
    standard: str,
    at_least: float | None,
    free: str,
) -> Recommendation:
    label = LABELS[results.metric_name]
    nearest = spending[0] if spending else ranked[0]
    mean, deviation = metric_of(results, nearest)
    partly = 0 if at_least is None else _count_reaching(results, nearest, at_least)
    some = f", which does with {partly} of {seeds_of(results, nearest)}" if partly else ""
    return Recommendation(
        None,
        f"no method {standard}; the nearest is {nearest}{some} (mean test {label} {mean:.3f}"
        f"{plus_minus(deviation)}).{free}",
        decided=not partly,
        candidates=(nearest,),
    )


def _costs(
    results: Results, method: str, goal: str, at_least: float | None
) -> tuple[float, list[float]]:
    """Mean, and one a seed: of the whole training, or up to the target."""
    unit = UNITS[goal]
    values = []
    for run in results.runs_of(method):
        point = run.curve[-1] if at_least is None else run.first_reaching(at_least)
        if point is not None:
            values.append(float(getattr(point, unit)))
    return mean_and_deviation(values)[0], values


def _log_ratio(
    results: Results, one: str, other: str, goal: str, at_least: float | None, pairs: int
) -> Interval | None:
    """Of the logarithm of the ratio of what two methods spend, in pairs of the same seed."""
    unit = UNITS[goal]
    spent: list[dict[int, float]] = []
    for method in (one, other):
        spent.append({})
        for run in results.runs_of(method):
            point = run.curve[-1] if at_least is None else run.first_reaching(at_least)
            if point is not None and getattr(point, unit) > 0:
                spent[-1][run.seed] = math.log(getattr(point, unit))
    shared = sorted(spent[0].keys() & spent[1].keys())
    values = [spent[0][seed] - spent[1][seed] for seed in shared]
    return interval(values, confidence=results.confidence, comparisons=pairs)


def _always_reaches(results: Results, method: str, target: float) -> bool:
    runs = results.runs_of(method)
    whole = len(runs) == len(results.seeds)
    return whole and _count_reaching(results, method, target) == len(runs)


def _count_reaching(results: Results, method: str, target: float) -> int:
    return sum(run.first_reaching(target) is not None for run in results.runs_of(method))


def _free(results: Results, ranked: Sequence[str], at_least: float | None) -> str:
    """Honesty: methods that take no shot at all."""
    label = LABELS[results.metric_name]
    without = [m for m in ranked if not _costs(results, m, "shots", None)[0]]
    if at_least is not None:
        without = [m for m in without if _always_reaches(results, m, at_least)]
    if not without:
        return ""
    mean, _ = metric_of(results, without[0])
    return f" Without any shot, {without[0]} has a mean test {label} of {mean:.3f}."
