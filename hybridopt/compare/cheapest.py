"""The method that spends the least time or the fewest shots, if the runs tell it from the others.

Amounts are compared by the logarithm of their ratio, in pairs of the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hybridopt.compare.formatting import (
    amount,
    comparisons_of,
    counted,
    level,
    listed,
    metric_of,
    plus_minus,
    ratio_words,
    seeds_of,
)
from hybridopt.compare.most_accurate import rivals
from hybridopt.compare.recommendation import Recommendation
from hybridopt.compare.results import Results
from hybridopt.compare.statistics import Interval, interval, mean_and_deviation
from hybridopt.compare.study_table import LABELS
from hybridopt.errors import ArgumentError

UNITS = {"time": "seconds", "shots": "shots"}


def cheapest(
    results: Results, ranked: Sequence[str], goal: str, at_least: float | None
) -> Recommendation:
    """The cheapest of the methods that are good enough, or the reason why none can be named."""
    label, unit = LABELS[results.metric_name], UNITS[goal]
    spending = [m for m in ranked if _mean(results, m, goal, None) > 0]
    if goal == "shots" and not spending:
        raise ArgumentError(
            "No method of the study takes shots. Compare bridges with an executor that has some, "
            "as `executor=ho.AerExecutor(shots=1000)`, or choose another goal."
        )
    if at_least is None:
        good = rivals(results, ranked)
        standard = f"comes within noise of the best test {label}"
        able = [m for m in good if m in spending]
    else:
        standard = f"reaches a test {label} of {at_least:g} with every seed"
        able = [m for m in spending if _always_reaches(results, m, at_least)]
    kind, free = "method", ""
    if goal == "shots":
        kind, free = "method that takes shots", _free(results, ranked, at_least)
    if not able:
        return _nobody(results, kind, spending or ranked, standard, at_least, free)
    costs = {m: _mean(results, m, goal, at_least) for m in able}
    able.sort(key=lambda m: costs[m])
    best = able[0]
    text = f"it {standard} and takes {amount(costs[best])} {unit} of training to do so"
    end = _end(results, best, at_least)
    if len(able) == 1:
        return Recommendation(best, f"{text}; no other {kind} does.{end}{free}", candidates=(best,))
    pairs = comparisons_of(able)
    ratios = {m: _log_ratio(results, best, m, goal, at_least, pairs) for m in able[1:]}
    near = [m for m, one in ratios.items() if one is None or one.high >= 0]
    other = (near or able[1:])[0]
    ratio = ratio_words(ratios[other], best, other)
    if near:
        return Recommendation(
            None,
            f"{best} takes the fewest {unit}, {amount(costs[best])}, but the difference to "
            f"{listed(near)} is noise: {ratio} ({level(results, able)}).{end}{free}",
            decided=False,
            candidates=(best, *near),
            interval=ratios[other],
        )
    return Recommendation(
        best,
        f"{text}, against {amount(costs[other])} for {other}, the next: {ratio} "
        f"({level(results, able)}).{end}{free}",
        candidates=(best,),
        interval=ratios[other],
    )


def _nobody(
    results: Results,
    kind: str,
    ranked: Sequence[str],
    standard: str,
    at_least: float | None,
    free: str,
) -> Recommendation:
    label = LABELS[results.metric_name]
    nearest = ranked[0]
    mean, deviation = metric_of(results, nearest)
    partly = 0 if at_least is None else _count_reaching(results, nearest, at_least)
    some = f", which does with {partly} of {seeds_of(results, nearest)}" if partly else ""
    return Recommendation(
        None,
        f"no {kind} {standard}; the nearest is {nearest}{some} (mean test {label} {mean:.3f}"
        f"{plus_minus(deviation)}).{free}",
        decided=not partly,
        candidates=(nearest,),
    )


def _spent(results: Results, method: str, goal: str, at_least: float | None) -> dict[int, float]:
    """By seed: in the whole training, or up to the target; without seeds that never reach it."""
    spent = {}
    for run in results.runs_of(method):
        point = run.curve[-1] if at_least is None else run.first_reaching(at_least)
        if point is not None:
            spent[run.seed] = float(getattr(point, UNITS[goal]))
    return spent


def _mean(results: Results, method: str, goal: str, at_least: float | None) -> float:
    return mean_and_deviation(list(_spent(results, method, goal, at_least).values()))[0]


def _log_ratio(
    results: Results, one: str, other: str, goal: str, at_least: float | None, pairs: int
) -> Interval | None:
    """Of the logarithm of the ratio of what two methods spend, in pairs of the same seed."""
    ours, theirs = (_spent(results, method, goal, at_least) for method in (one, other))
    shared = [s for s in results.seeds if ours.get(s, 0) > 0 and theirs.get(s, 0) > 0]
    values = [math.log(ours[seed] / theirs[seed]) for seed in shared]
    return interval(values, confidence=results.confidence, comparisons=pairs)


def _always_reaches(results: Results, method: str, target: float) -> bool:
    runs = results.runs_of(method)
    whole = len(runs) == len(results.seeds)
    return whole and _count_reaching(results, method, target) == len(runs)


def _count_reaching(results: Results, method: str, target: float) -> int:
    return sum(run.first_reaching(target) is not None for run in results.runs_of(method))


def _end(results: Results, method: str, target: float | None) -> str:
    """Honesty: a method that reaches the target on the way, and does not keep it."""
    lost = [] if target is None else [r for r in results.runs_of(method) if r.test_metric < target]
    if not lost:
        return ""
    label = LABELS[results.metric_name]
    mean, deviation = metric_of(results, method)
    return (
        f" It does not stay there: with {counted(len(lost), 'seed')} it ends below, at a mean test "
        f"{label} of {mean:.3f}{plus_minus(deviation)} over all, so training must stop there."
    )


def _free(results: Results, ranked: Sequence[str], at_least: float | None) -> str:
    """Honesty: methods that take no shot at all."""
    label = LABELS[results.metric_name]
    without = [m for m in ranked if not _mean(results, m, "shots", None)]
    if at_least is not None:
        without = [m for m in without if _always_reaches(results, m, at_least)]
    if not without:
        return ""
    mean, _ = metric_of(results, without[0])
    return f" Without any shot, {without[0]} has a mean test {label} of {mean:.3f}."
