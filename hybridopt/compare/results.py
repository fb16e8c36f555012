"""The runs of a comparison in numbers: means, spreads, differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hybridopt import _validation
from hybridopt.compare.statistics import Interval, holm, interval, mean_and_deviation

LABELS = {"accuracy": "accuracy", "r2": "R²"}
REACHING = ("steps", "seconds", "settings", "shots")
QUANTITIES = (
    "test_metric", "test_loss", "training_seconds", "inference_seconds", "steps", "settings",
    "shots", "simulator_runs", "trainable",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A method's state after an epoch, or where its budget ended; sums over all stages so far."""

    stage: int  # from 0
    epochs: int  # a last one may be cut short by the budget
    steps: int
    seconds: float  # wall time of the training steps; settings and shots are theirs, too
    settings: int
    shots: int
    train_loss: float | None  # mean of the epoch; None before the first
    test_loss: float | None
    test_metric: float


@dataclass(frozen=True)
class Trial:
    """One trial of a learning rate, and what its training spent."""

    factor: float  # of the base learning rates
    metric: float | None = None  # on the validation part, as `loss`; None if training failed
    loss: float | None = None
    seconds: float = 0.0
    settings: int = 0
    shots: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """One method with one seed."""

    method: str
    seed: int  # of split, starting weights and order
    status: Literal["done", "failed"] = "done"
    error: str | None = None  # why it failed
    test_metric: float = math.nan  # accuracy or R^2 on the test part at the end
    test_loss: float | None = None
    training_seconds: float = math.nan  # of the training steps, without evaluation and tuning
    inference_seconds: float = math.nan  # for the test part, by a copy that has read no weight yet
    steps: int = 0  # of the optimizer; settings and shots are those of training, too
    settings: int = 0
    shots: int = 0
    simulator_runs: int = 0  # circuits that the simulator executed in training
    trainable: int = 0  # numbers, of the stage with the most
    num_test: int = 0
    lr_factor: float = 1.0  # of the base learning rates, which tuning chose
    rates: tuple[float, ...] = ()  # of each stage
    trials: tuple[Trial, ...] = ()
    curve: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.status == "done"

    def first_reaching(self, target: float) -> Point | None:
        """The first point whose test metric is at least the target; None if there is none."""
        return next((point for point in self.curve if point.test_metric >= target), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for JSON; what is not known is None."""
        content = asdict(self)
        unknown = [k for k, v in content.items() if isinstance(v, float) and math.isnan(v)]
        return {**content, **dict.fromkeys(unknown)}


@dataclass(frozen=True)
class Summary:
    """One method over all seeds: means and standard deviations of its finished runs."""

    method: str
    values: Mapping[str, tuple[float, float | None]]  # deviation None for a single run
    done: int
    failed: int
    reached: Mapping[str, float] | None = None  # count, mean steps, seconds ... to the target


@dataclass(frozen=True)
class Difference:
    """A method's test metric minus the control's, in pairs of the same seed."""

    method: str
    control: str
    interval: Interval | None  # Bonferroni-corrected; None for fewer than two finished pairs
    p_value: float | None  # corrected by Holm's rule


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
        tuning: Trials of the learning rate for each method and seed, fraction for validation, and
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
    def label(self) -> str:
        """The metric, as tables and pictures call it."""
        return LABELS[self.metric_name]

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

    def spread(self, method: str, quantity: str) -> tuple[float, float | None]:
        """Mean and standard deviation of a quantity of a method's finished runs."""
        return mean_and_deviation([getattr(run, quantity) for run in self.runs_of(method)])

    def summary(self, method: str, *, reach: float | None = None) -> Summary:
        """Means and spreads of a method over the seeds; ``reach`` as in `target`."""
        runs = self.runs_of(method)
        values = {name: self.spread(method, name) for name in QUANTITIES}
        failures = sum(run.method == method for run in self.failures)
        reached, target = None, self.target(reach)
        if target is not None:
            points = list(filter(None, (run.first_reaching(target) for run in runs)))
            means = {k: mean_and_deviation([getattr(p, k) for p in points])[0] for k in REACHING}
            reached = {"count": len(points), **means}
        return Summary(method, values, len(runs), failures, reached)

    def target(self, reach: float | None = None) -> float | None:
        """The test metric for "to reach": the given one, the study's, or one that the control has.

        The last is 95 % of the control's mean, rounded down to two places.
        """
        if reach is not None:
            return _validation.real("reach", reach)
        if self.reach is not None:
            return self.reach
        mean, _ = self.spread(self.control, "test_metric")
        return None if math.isnan(mean) else math.floor(100 * (mean - 0.05 * abs(mean))) / 100

    def difference(
        self, method: str, other: str, *, comparisons: int = 1, quantity: str = "test_metric"
    ) -> Interval | None:
        """Interval of ``method`` minus ``other``, over the seeds that both finished."""
        ours = {run.seed: run for run in self.runs_of(method)}
        theirs = {run.seed: run for run in self.runs_of(other)}
        shared = [seed for seed in self.seeds if seed in ours and seed in theirs]
        values = [getattr(ours[s], quantity) - getattr(theirs[s], quantity) for s in shared]
        stepped = quantity == "test_metric" and self.metric_name == "accuracy" and shared
        rule = {"resolution": 1 / ours[shared[0]].num_test if stepped else 0.0}
        return interval(values, confidence=self.confidence, comparisons=comparisons, **rule)

    def differences(self) -> list[Difference]:
        """Every other method against the control; see `hybridopt.compare.statistics`."""
        others = [method for method in self.methods if method != self.control]
        found = [self.difference(m, self.control, comparisons=len(others)) for m in others]
        corrected = iter(holm([one.p_value for one in found if one is not None]))
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
        means = {m: self.spread(m, "test_metric")[0] for m in self.methods if self.runs_of(m)}
        return sorted(means, key=lambda method: (not self.is_whole(method), -means[method]))
