"""Recommendation of a method from the runs of a study.

For ``m`` methods, intervals with a correction for ``m - 1`` comparisons are sufficient, although
the best method is selected with the same data. A wrong result needs a wrong interval between the
true best method and another (Hsu, Ann. Stat. 12, 1136 (1984)). Seconds and shots are compared by
the logarithms of their paired ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from hybridopt.compare.results import Results
from hybridopt.compare.statistics import Interval, paired_ratio, percent
from hybridopt.compare.table import counted, listed
from hybridopt.errors import ArgumentError

UNITS = {"time": "seconds", "shots": "shots"}


@dataclass(frozen=True)
class Recommendation:
    """Recommended method with the reason.

    Attributes:
        method: Name of the method; None if the result is undecided or no method is good enough.
        reason: Explanation with the intervals.
        decided: False if the difference to another method is not significant.
        candidates: Methods without significant differences, best mean first.
        interval: Interval of the difference to the closest other method, if there is one.
        sources: References of the rules; empty for recommendations from runs.
    """

    method: str | None
    reason: str
    decided: bool = True
    candidates: tuple[str, ...] = ()
    interval: Interval | None = None
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.method or ('none' if self.decided else 'undecided')}: {self.reason}"
        return f"{text} Sources: {'; '.join(self.sources)}." if self.sources else text


def recommendation(results: Results, goal: str, at_least: float | None) -> Recommendation:
    """Return the best or the cheapest method, or the reason for an undecided result."""
    ranked = results.ranked()
    if not ranked:
        raise ArgumentError("The study has no finished run. See the errors in `Study.failures`.")
    judged = [method for method in ranked if results.is_whole(method)] or ranked
    if goal == "accuracy":
        found = _most_accurate(results, judged, at_least)
    else:
        found = _Cheapest(results, judged, UNITS[goal], at_least).recommendation()
    return replace(found, reason=f"{found.reason}{_failures(results, judged)}")


def _most_accurate(
    results: Results, ranked: Sequence[str], at_least: float | None
) -> Recommendation:
    best, leads, near = _best(results, ranked)
    seeds = counted(len(results.runs_of(best)), "seed")
    text = f"mean test {results.label} {_metric(results, best)} over {seeds}"
    if at_least is not None and results.spread(best, "test_metric")[0] < at_least:
        miss = f"no method reaches a mean test {results.label} of {at_least:g}; the closest is"
        return Recommendation(None, f"{miss} {best}, {text}.", candidates=(best,))
    if not leads:
        return Recommendation(best, f"{text}; there is no other method.")
    known = {other: one.low for other, one in leads.items() if one is not None}
    first = near[0] if near else min(known, key=lambda other: known[other])
    found, level = leads[first], _level(results, len(leads))
    lead = "unknown, because fewer than two seeds finished with both"
    lead = lead if found is None else f"{found} in {results.label}"
    if not near:
        text = f"{text}; the difference to {first}, the closest method, is {lead} ({level})."
        return Recommendation(best, text, candidates=(best,), interval=found)
    seconds = {m: results.spread(m, "training_seconds")[0] for m in (best, *near)}
    fastest = min(seconds, key=lambda method: seconds[method])
    return Recommendation(
        None,
        f"{best} has the best {text}, but the seeds show no significant difference to "
        f"{listed(near)}: for {first} it is {lead} ({level}). More seeds give narrower intervals. "
        f"Of these methods, {fastest} trains fastest ({seconds[fastest]:.3g} s).",
        decided=False,
        candidates=(best, *near),
        interval=found,
    )


def _best(
    results: Results, ranked: Sequence[str]
) -> tuple[str, dict[str, Interval | None], list[str]]:
    """Return the best method, its leads over all others, and the others within noise."""
    # after failed runs, the best mean may cover only easy seeds: compare with all others
    count = max(1, len(ranked) - 1)
    table = {
        one: {m: results.difference(one, m, comparisons=count) for m in ranked if m != one}
        for one in ranked
    }
    unbeaten = (
        one for one in ranked if all(lead is None or lead.high >= 0 for lead in table[one].values())
    )
    leads = table[best := next(unbeaten, ranked[0])]
    return best, leads, [other for other, one in leads.items() if one is None or one.low <= 0]


@dataclass(frozen=True)
class _Cheapest:
    """Comparison of costs, of whole trainings or until each seed reaches a test metric."""

    results: Results
    ranked: Sequence[str]
    unit: str
    at_least: float | None

    def recommendation(self) -> Recommendation:
        """Return the cheapest method that is good enough."""
        results, at_least, unit = self.results, self.at_least, self.unit
        spending = [m for m in self.ranked if any(_spent(results, m, unit, None).values())]
        if unit == "shots" and not spending:
            raise ArgumentError(
                "`goal` must not be 'shots' for a study without shots. Compare bridges with an "
                "executor such as `AerExecutor(shots=1000)`, or choose another goal."
            )
        if at_least is None:
            best, _, near = _best(results, self.ranked)
            good = [m for m in (best, *near) if m in spending]
            standard = f"has the best test {results.label} within noise"
        else:
            good = [m for m in spending if self._reaching(m) == len(results.seeds)]
            standard = f"reaches a test {results.label} of {at_least:g} with every seed"
        kind = "method with shots" if unit == "shots" else "method"
        if not good:
            return self._nobody(f"no {kind} {standard}", (spending or self.ranked)[0])
        spent = {m: _spent(results, m, unit, at_least) for m in good}
        costs = {m: fmean(spent[m].values()) for m in good}
        best, *others = sorted(good, key=lambda m: costs[m])
        text = f"it {standard} and takes {_amount(costs[best])} {unit} of training"
        end = f"{self._not_kept(best)}{self._without_shots()}"
        if not others:
            return Recommendation(best, f"{text}; no other {kind} does.{end}", candidates=(best,))
        level = _level(results, len(others))
        rule = results.confidence, len(others)
        ratios = {m: paired_ratio(spent[best], spent[m], *rule) for m in others}
        near = [m for m, one in ratios.items() if one is None or one.high >= 0]
        other = (near or others)[0]
        ratio = _ratio(ratios[other], best, other)
        if near:
            text = f"{best} takes the fewest {unit}, {_amount(costs[best])}, but the seeds show no"
            text = f"{text} significant difference to {listed(near)}"
        else:
            text = f"{text}; {other} is next with {_amount(costs[other])}"
        return Recommendation(
            None if near else best,
            f"{text}: {ratio} ({level}).{end}",
            decided=not near,
            candidates=(best, *near),
            interval=ratios[other],
        )

    def _nobody(self, text: str, nearest: str) -> Recommendation:
        partly = 0 if self.at_least is None else self._reaching(nearest)
        seeds = counted(len(self.results.runs_of(nearest)), "seed")
        some = f", which reaches it with {partly} of {seeds}" if partly else ""
        mean = f"mean test {self.results.label} {_metric(self.results, nearest)}"
        text = f"{text}; the closest is {nearest}{some} ({mean}).{self._without_shots()}"
        return Recommendation(None, text, decided=not partly, candidates=(nearest,))

    def _reaching(self, method: str) -> int:
        """Return the number of seeds that reach the target."""
        return len(_spent(self.results, method, self.unit, self.at_least))

    def _not_kept(self, method: str) -> str:
        """Return a note if the method reaches the target, but ends below it."""
        target, runs = self.at_least, self.results.runs_of(method)
        lost = 0 if target is None else sum(run.test_metric < target for run in runs)
        if not lost:
            return ""
        return (
            f" Stop the training at the target: with {counted(lost, 'seed')} the method ends below "
            f"it (mean test {self.results.label} over all seeds: {_metric(self.results, method)})."
        )

    def _without_shots(self) -> str:
        """Return a note on a good method without shots."""
        results, seeds = self.results, len(self.results.seeds)
        for method in self.ranked if self.unit == "shots" else ():
            free = not any(_spent(results, method, "shots", None).values())
            if free and (self.at_least is None or self._reaching(method) == seeds):
                mean, _ = results.spread(method, "test_metric")
                return f" Without shots, {method} has a mean test {results.label} of {mean:.3f}."
        return ""


def _spent(results: Results, method: str, unit: str, target: float | None) -> dict[int, float]:
    """Return the costs by seed, of the whole training or until the target if it is reached."""
    points = {
        run.seed: run.curve[-1] if target is None else run.first_reaching(target)
        for run in results.runs_of(method)
    }
    return {s: float(getattr(point, unit)) for s, point in points.items() if point is not None}


def _metric(results: Results, method: str) -> str:
    mean, deviation = results.spread(method, "test_metric")
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _level(results: Results, others: int) -> str:
    """Return the kind of interval."""
    corrected = f", Bonferroni for {others} comparisons" if others > 1 else ""
    return f"{percent(results.confidence)} paired t interval{corrected}"


def _ratio(found: Interval | None, one: str, other: str) -> str:
    """Return the ratio of two costs from the interval of its logarithm."""
    if found is None:
        return f"the ratio is unknown, because fewer than two seeds have both {one} and {other}"
    mean, low, high = (math.exp(min(value, 700.0)) for value in (found.mean, found.low, found.high))
    return f"the ratio to {other} is {mean:.2g} [{low:.2g}, {high:.2g}]"


def _amount(value: float) -> str:
    """Return a number with three digits and without powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _failures(results: Results, judged: Sequence[str]) -> str:
    """Return one sentence per method with failed runs."""
    text = ""
    for method in results.methods:
        done, runs = len(results.runs_of(method)), len(results.seeds)
        if done == runs:
            continue
        text += f" {runs - done} of {counted(runs, 'run')} of {method} failed"
        if not done:
            text += "."
        elif method in judged:
            text += "; its other runs are compared."
        else:
            mean, _ = results.spread(method, "test_metric")
            text += f", so it is not compared (the mean of its other runs is {mean:.3f})."
    return text
