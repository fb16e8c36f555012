"""The method to take, judged by the runs of a study.

The most accurate method is picked after looking at all. Still, with ``m`` methods, intervals
corrected for ``m - 1`` comparisons are enough: to call a method the best wrongly, one of the
``m - 1`` intervals between it and the true best must miss (multiple comparisons with the best:
Hsu, Ann. Stat. 12, 1136 (1984)). Seconds and shots are compared by the logarithm of their ratio, in
pairs of the same seed.
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
    """Which method, and why.

    Attributes:
        method: Its name; None if the runs do not decide, or no method will do.
        reason: In words, with the intervals behind it.
        decided: Whether the difference is more than noise.
        candidates: Methods that the runs do not tell apart, the best mean first.
        interval: Of the difference to the nearest other method; None if there is none.
        sources: Where rules come from; empty where runs decide.
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
    """Return the best or the cheapest method, or the reason why none can be named."""
    ranked = results.ranked()
    if not ranked:
        raise ArgumentError("No run of the study came to its end. `Study.failures` says why.")
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
        miss = f"no method reaches a mean test {results.label} of {at_least:g}; the nearest is"
        return Recommendation(None, f"{miss} {best}, {text}.", candidates=(best,))
    if not leads:
        return Recommendation(best, f"{text}; there is no other method to compare with.")
    known = {other: one.low for other, one in leads.items() if one is not None}
    first = near[0] if near else min(known, key=lambda other: known[other])
    found, level = leads[first], _level(results, len(leads))
    lead = "unknown, as fewer than two seeds came to their end in both"
    lead = lead if found is None else f"{found} in {results.label}"
    if not near:
        text = f"{text}, {lead} more than {first}, the nearest: more than noise ({level})."
        return Recommendation(best, text, candidates=(best,), interval=found)
    seconds = {m: results.spread(m, "training_seconds")[0] for m in (best, *near)}
    fastest = min(seconds, key=lambda method: seconds[method])
    return Recommendation(
        None,
        f"{best} has the best {text}, but its difference to {listed(near)} is noise: to {first} "
        f"it is {lead} ({level}). More seeds would narrow that. Of these, {fastest} trains fastest "
        f"({seconds[fastest]:.3g} s).",
        decided=False,
        candidates=(best, *near),
        interval=found,
    )


def _best(
    results: Results, ranked: Sequence[str]
) -> tuple[str, dict[str, Interval | None], list[str]]:
    """The first method that no other surely beats, its leads, and the others within noise."""
    # with failed runs, a mean over easier seeds may lead though others win on each shared seed
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
    """What methods spend in whole trainings, or up to a test metric that each seed must reach."""

    results: Results
    ranked: Sequence[str]
    unit: str
    at_least: float | None

    def recommendation(self) -> Recommendation:
        """The cheapest of the methods that are good enough."""
        results, at_least, unit = self.results, self.at_least, self.unit
        spending = [m for m in self.ranked if any(_spent(results, m, unit, None).values())]
        if unit == "shots" and not spending:
            raise ArgumentError(
                "No method of the study takes shots. Compare bridges with an executor that has "
                "some, as `ho.AerExecutor(shots=1000)`, or choose another goal."
            )
        if at_least is None:
            best, _, near = _best(results, self.ranked)
            good = [m for m in (best, *near) if m in spending]
            standard = f"comes within noise of the best test {results.label}"
        else:
            good = [m for m in spending if self._reaching(m) == len(results.seeds)]
            standard = f"reaches a test {results.label} of {at_least:g} with every seed"
        kind = "method that takes shots" if unit == "shots" else "method"
        if not good:
            return self._nobody(f"no {kind} {standard}", (spending or self.ranked)[0])
        spent = {m: _spent(results, m, unit, at_least) for m in good}
        costs = {m: fmean(spent[m].values()) for m in good}
        best, *others = sorted(good, key=lambda m: costs[m])
        text = f"it {standard} and takes {_amount(costs[best])} {unit} of training to do so"
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
            text = f"{best} takes the fewest {unit}, {_amount(costs[best])}, but the difference to"
            text = f"{text} {listed(near)} is noise"
        else:
            text = f"{text}, against {_amount(costs[other])} for {other}, the next"
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
        some = f", which does with {partly} of {seeds}" if partly else ""
        mean = f"mean test {self.results.label} {_metric(self.results, nearest)}"
        text = f"{text}; the nearest is {nearest}{some} ({mean}).{self._without_shots()}"
        return Recommendation(None, text, decided=not partly, candidates=(nearest,))

    def _reaching(self, method: str) -> int:
        """Number of seeds that reach the target."""
        return len(_spent(self.results, method, self.unit, self.at_least))

    def _not_kept(self, method: str) -> str:
        """Honesty: a method that reaches the target on the way, and does not keep it."""
        target, runs = self.at_least, self.results.runs_of(method)
        lost = 0 if target is None else sum(run.test_metric < target for run in runs)
        if not lost:
            return ""
        return (
            f" It does not stay there: with {counted(lost, 'seed')} it ends below, at a mean test "
            f"{self.results.label} of {_metric(self.results, method)} over all, so training must "
            "stop there."
        )

    def _without_shots(self) -> str:
        """Honesty: methods that take no shot at all."""
        results, seeds = self.results, len(self.results.seeds)
        for method in self.ranked if self.unit == "shots" else ():
            free = not any(_spent(results, method, "shots", None).values())
            if free and (self.at_least is None or self._reaching(method) == seeds):
                mean, _ = results.spread(method, "test_metric")
                return f" Without any shot, {method} has a mean test {results.label} of {mean:.3f}."
        return ""


def _spent(results: Results, method: str, unit: str, target: float | None) -> dict[int, float]:
    """By seed: in the whole training, or up to the target; without seeds that never reach it."""
    points = {
        run.seed: run.curve[-1] if target is None else run.first_reaching(target)
        for run in results.runs_of(method)
    }
    return {s: float(getattr(point, unit)) for s, point in points.items() if point is not None}


def _metric(results: Results, method: str) -> str:
    mean, deviation = results.spread(method, "test_metric")
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _level(results: Results, others: int) -> str:
    """Which interval it is."""
    corrected = f", Bonferroni for {others} comparisons" if others > 1 else ""
    return f"{percent(results.confidence)} paired t interval{corrected}"


def _ratio(found: Interval | None, one: str, other: str) -> str:
    """What one method spends in multiples of another, from the interval of the logarithm."""
    if found is None:
        return f"how they compare is unknown, as fewer than two seeds have both {one} and {other}"
    mean, low, high = (math.exp(min(value, 700.0)) for value in (found.mean, found.low, found.high))
    return f"{mean:.2g} times [{low:.2g}, {high:.2g}] as much as {other}"


def _amount(value: float) -> str:
    """Three digits, and no powers of ten for large ones."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _failures(results: Results, judged: Sequence[str]) -> str:
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
            mean, _ = results.spread(method, "test_metric")
            text += f", so it is left aside (its others have a mean of {mean:.3f})."
    return text
