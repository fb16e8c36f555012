"""The method with the best test metric, if the runs tell it from the others.

The best is picked after looking at all. Still, with ``m`` methods, intervals corrected for
``m - 1`` comparisons are enough: to call a method the best wrongly, one of the ``m - 1`` intervals
between it and the true best must miss (multiple comparisons with the best: Hsu, Ann. Stat. 12,
1136 (1984)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridopt.compare.formatting import (
    comparisons_of,
    interval_words,
    level,
    listed,
    mean_of,
    metric_of,
    plus_minus,
    seeds_of,
)
from hybridopt.compare.recommendation import Recommendation
from hybridopt.compare.results import Results
from hybridopt.compare.statistics import Interval
from hybridopt.compare.study_table import LABELS


def most_accurate(
    results: Results, ranked: Sequence[str], at_least: float | None
) -> Recommendation:
    """The best of the ranked methods, or the reason why none can be named."""
    label = LABELS[results.metric_name]
    best, leads = _best(results, ranked)
    mean, deviation = metric_of(results, best)
    text = f"mean test {label} {mean:.3f}{plus_minus(deviation)} over {seeds_of(results, best)}"
    if at_least is not None and mean < at_least:
        return Recommendation(
            None,
            f"no method reaches a mean test {label} of {at_least:g}; the nearest is {best}, "
            f"{text}.",
            candidates=(best,),
        )
    if len(ranked) == 1:
        return Recommendation(best, f"{text}; there is no other method to compare with.")
    near = _within_noise(leads)
    first = near[0] if near else _closest(leads)
    found = leads[first]
    if not near:
        return Recommendation(
            best,
            f"{text}, {interval_words(found, label)} more than {first}, the nearest: more than "
            f"noise ({level(results, ranked)}).",
            candidates=(best,),
            interval=found,
        )
    fastest = min((best, *near), key=lambda m: mean_of(results, m, "training_seconds"))
    return Recommendation(
        None,
        f"{best} has the best {text}, but its difference to {listed(near)} is noise: to {first} "
        f"it is {interval_words(found, label)} ({level(results, ranked)}). More seeds would "
        f"narrow that. Of these, {fastest} trains fastest "
        f"({mean_of(results, fastest, 'training_seconds'):.3g} s).",
        decided=False,
        candidates=(best, *near),
        interval=found,
    )


def rivals(results: Results, ranked: Sequence[str]) -> list[str]:
    """The best, and the methods that it is not surely better than."""
    best, leads = _best(results, ranked)
    return [best, *_within_noise(leads)]


def _best(results: Results, ranked: Sequence[str]) -> tuple[str, dict[str, Interval | None]]:
    """The first method that none is surely better than on the seeds they share, and its leads.

    Where runs failed, a mean over the seeds that are left may be the best while others are better
    on each of these seeds.
    """
    for best in ranked:
        leads = _leads(results, best, ranked)
        if not any(one is not None and one.high < 0 for one in leads.values()):
            return best, leads
    return ranked[0], _leads(results, ranked[0], ranked)  # each is worse than another


def _leads(results: Results, best: str, ranked: Sequence[str]) -> dict[str, Interval | None]:
    """Of one before each other method."""
    others = [method for method in ranked if method != best]
    comparisons = comparisons_of(ranked)
    return {other: results.difference(best, other, comparisons=comparisons) for other in others}


def _within_noise(leads: Mapping[str, Interval | None]) -> list[str]:
    return [other for other, one in leads.items() if one is None or one.low <= 0]


def _closest(leads: Mapping[str, Interval | None]) -> str:
    known = {other: one.low for other, one in leads.items() if one is not None}
    return min(known, key=lambda other: known[other])
