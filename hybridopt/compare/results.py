"""The runs of a comparison in numbers: means, spreads, differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridopt import _validation
from hybridopt.compare.records import Run
from hybridopt.compare.statistics import Interval, holm, interval, mean_and_deviation

REACHING = ("steps", "seconds", "settings", "shots")


@dataclass(frozen=True)
class Summary:
    """One method over all seeds: means and standard deviations of the runs that came to their end.

    Attributes:
        method: Its name.
        values: Mean and deviation (None for a single run) by name of the quantity.
        done: Runs that came to their end.
        failed: Runs that did not.
        reached: Runs that reached the target, and the mean steps, seconds, settings and shots to
            it; None without a target.
    """

    method: str
    values: Mapping[str, tuple[float, float | None]]
    done: int
    failed: int
    reached: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Difference:
    """A method against the control, in pairs of the same seed.

    Attributes:
        method: Its name.
        control: Its name.
        interval: Of the test metric, method minus control; Bonferroni-corrected for the number of
            methods. None if fewer than two seeds came to their end in both.
        p_value: Corrected by Holm's rule.
    """

    method: str
    control: str
    interval: Interval | None
    p_value: float | None


QUANTITIES = (
    "test_metric", "test_loss", "training_seconds", "inference_seconds", "steps", "settings",
    "shots", "simulator_runs", "trainable",
)  # fmt: skip


@dataclass
class Results:
    """What a comparison found, without the ways to show it.

    Attributes:
        data: Name of the data.
        task: ``"classification"`` or ``"regression"``.
        metric_name: ``"accuracy"`` or ``"r2"``.
        methods: Names, in order.
        control: Name of the method that the others are compared with.
        seeds: In order.
        budget: In words.
        tuning: Trials of the learning rate for each method and seed, share for validation, and
            ratio of neighbouring rates.
        runs: One a method and seed, in that order.
        confidence: Of all intervals together.
        reach: Test metric that "to reach" means unless another is given.
        details: Stages of the methods, sizes, machine and versions.
        seconds: Wall time of the comparison, what was resumed not counted.
    """

    data: str
    task: str
    metric_name: str
    methods: tuple[str, ...]
    control: str
    seeds: tuple[int, ...]
    budget: str
    tuning: dict[str, Any]
    runs: tuple[Run, ...] = field(repr=False)
    confidence: float = 0.95
    reach: float | None = None
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Run]:
        """The runs that did not come to their end, each with its ``error``."""
        return [run for run in self.runs if not run.done]

    def runs_of(self, method: str) -> list[Run]:
        """The runs of a method that came to their end.

        Raises:
            UnknownNameError: If there is no such method.
        """
        _validation.choice("method of the study", method, self.methods)
        return [run for run in self.runs if run.method == method and run.done]

    def summary(self, method: str, *, reach: float | None = None) -> Summary:
        """Means and spreads of a method over the seeds.

        Args:
            method: Its name.
            reach: Test metric for "to reach"; None is that of the study.
        """
        runs = self.runs_of(method)
        values = {
            name: mean_and_deviation([getattr(run, name) for run in runs]) for name in QUANTITIES
        }
        target = self.target(reach)
        failures = sum(run.method == method and not run.done for run in self.runs)
        return Summary(method, values, len(runs), failures, _reached(runs, target))

    def target(self, reach: float | None = None) -> float | None:
        """The test metric for "to reach": the given one, the study's, or one that the control has.

        The last is 95 % of the control's mean, rounded down to two places.
        """
        if reach is not None:
            return _validation.real("reach", reach)
        if self.reach is not None:
            return self.reach
        runs = self.runs_of(self.control)
        if not runs:
            return None
        mean, _ = mean_and_deviation([run.test_metric for run in runs])
        return math.floor(100 * (mean - 0.05 * abs(mean))) / 100

    def difference(
        self, method: str, other: str, *, comparisons: int = 1, quantity: str = "test_metric"
    ) -> Interval | None:
        """Interval of ``method`` minus ``other``, over the seeds that both finished."""
        ours = {run.seed: run for run in self.runs_of(method)}
        theirs = {run.seed: run for run in self.runs_of(other)}
        shared = [seed for seed in self.seeds if seed in ours and seed in theirs]
        values = [getattr(ours[s], quantity) - getattr(theirs[s], quantity) for s in shared]
        resolution = 0.0
        if quantity == "test_metric" and self.metric_name == "accuracy" and shared:
            resolution = 1 / ours[shared[0]].num_test
        return interval(
            values, confidence=self.confidence, comparisons=comparisons, resolution=resolution
        )

    def differences(self) -> list[Difference]:
        """Every other method against the control; see `hybridopt.compare.statistics`."""
        others = [method for method in self.methods if method != self.control]
        found = [self.difference(m, self.control, comparisons=len(others)) for m in others]
        tested = [one.p_value for one in found if one is not None]
        corrected = iter(holm(tested))
        return [
            Difference(m, self.control, one, None if one is None else next(corrected))
            for m, one in zip(others, found, strict=True)
        ]

    def is_whole(self, method: str) -> bool:
        """Whether all runs of a method came to their end."""
        return len(self.runs_of(method)) == len(self.seeds)

    def ranked(self) -> list[str]:
        """The methods with a finished run, best mean test metric first.

        Those with a failed run stand behind all others: their mean is over other seeds, of which
        the hard ones may be missing.
        """
        means = {
            method: mean_and_deviation([run.test_metric for run in self.runs_of(method)])[0]
            for method in self.methods
            if self.runs_of(method)
        }
        return sorted(means, key=lambda method: (not self.is_whole(method), -means[method]))


def _reached(runs: Sequence[Run], target: float | None) -> Mapping[str, float] | None:
    if target is None:
        return None
    points = [point for run in runs if (point := run.first_reaching(target)) is not None]
    found: dict[str, float] = {"count": len(points)}
    for name in REACHING:
        found[name] = mean_and_deviation([getattr(point, name) for point in points])[0]
    return found
