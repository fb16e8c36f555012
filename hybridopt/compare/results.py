"""Results of a comparison: runs, means, standard deviations and differences."""

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
    "shots", "simulator_runs", "trainable", "trained_metric",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """State after an epoch or at the end of the budget; costs are sums over all stages so far."""

    stage: int  # counted from 0
    epochs: int  # the budget may end during the last one
    steps: int
    seconds: float  # wall time of the training steps
    settings: int  # settings of the training steps
    shots: int  # shots of the training steps
    train_loss: float | None  # mean over the epoch; None before the first epoch
    test_loss: float | None
    test_metric: float


@dataclass(frozen=True)
class Trial:
    """Trial of a learning rate with its costs."""

    factor: float  # factor of the base learning rates
    metric: float | None = None  # validation metric; None if training failed
    loss: float | None = None  # validation loss
    seconds: float = 0.0
    settings: int = 0
    shots: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """Results of one method with one seed."""

    method: str
    seed: int  # seed of split, starting weights and order of samples
    status: Literal["done", "failed"] = "done"
    error: str | None = None  # error message of a failed run
    test_metric: float = math.nan  # final accuracy or R^2 on the test part, on the judge if any
    test_loss: float | None = None
    metric_error: float | None = None  # standard error of the metric from the shots of the judge
    judgements: int = 0  # evaluations on the judge; 0 without a judge, and without circuits
    judging_seconds: float = 0.0  # time of these evaluations
    judging_settings: int = 0  # settings of these evaluations, not counted in training
    judging_shots: int = 0
    training_seconds: float = math.nan  # time of training steps, without evaluation and tuning
    inference_seconds: float = math.nan  # time for the test part, without cached weights
    steps: int = 0  # optimizer steps in training
    settings: int = 0  # settings of training
    shots: int = 0  # shots of training
    simulator_runs: int = 0  # circuit executions of the simulator in training
    trainable: int = 0  # largest number of trained parameters of a stage
    num_test: int = 0  # test samples
    lr_factor: float = 1.0  # factor of the base learning rates from tuning
    rates: tuple[float, ...] = ()  # learning rates of the stages
    trials: tuple[Trial, ...] = ()
    curve: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def done(self) -> bool:
        """Whether the run finished without an error."""
        return self.status == "done"

    @property
    def trained_metric(self) -> float:
        """Test metric at the end of the training, on the executor of the training."""
        return self.curve[-1].test_metric if self.curve else math.nan

    def first_reaching(self, target: float) -> Point | None:
        """Return the first point with at least this test metric; None if there is none.

        The judge evaluates the trained network only, so that a judged run has one point, its end.
        """
        if self.judgements:
            return self.curve[-1] if self.test_metric >= target else None
        return next((point for point in self.curve if point.test_metric >= target), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the run in plain types; nan becomes None."""
        content = asdict(self)
        unknown = [k for k, v in content.items() if isinstance(v, float) and math.isnan(v)]
        return {**content, **dict.fromkeys(unknown)}


@dataclass(frozen=True)
class Summary:
    """Means and standard deviations of the finished runs of a method."""

    method: str
    values: Mapping[str, tuple[float, float | None]]  # deviation None for a single run
    done: int
    failed: int
    reached: Mapping[str, float] | None = None  # number of runs, and mean costs to the target


@dataclass(frozen=True)
class Difference:
    """Paired difference of the test metric of a method and the control."""

    method: str
    control: str
    interval: Interval | None  # Bonferroni-corrected; None for fewer than two finished pairs
    p_value: float | None  # corrected by Holm's rule


@dataclass
class Results:
    """Results of a comparison, without tables and pictures.

    Attributes:
        data: Name of the data.
        task: ``"classification"`` or ``"regression"``.
        metric_name: ``"accuracy"`` or ``"r2"``.
        methods: Names of the methods.
        control: Name of the method that the others are compared with.
        seeds: Seeds of the runs.
        budget: Budget per method as text.
        tuning: Attributes of the `Tuning` by name.
        runs: Runs of the first method with all seeds, then of the second method, and so on.
        confidence: Simultaneous confidence level of all intervals.
        reach: Default test metric for the costs "to reach".
        details: Stages of the methods, sizes, machine and versions.
        seconds: Wall time of the comparison, without runs from an earlier call.
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
        """Name of the metric in tables and pictures."""
        return LABELS[self.metric_name]

    @property
    def failures(self) -> list[Run]:
        """Failed runs; each has an ``error``."""
        return [run for run in self.runs if not run.done]

    def runs_of(self, method: str) -> list[Run]:
        """Return the finished runs of a method.

        Raises:
            UnknownNameError: If the method is unknown.
        """
        _validation.choice("method of the study", method, self.methods)
        return [run for run in self.runs if run.method == method and run.done]

    def spread(self, method: str, quantity: str) -> tuple[float, float | None]:
        """Return mean and standard deviation of a quantity over the finished runs of a method."""
        return mean_and_deviation([getattr(run, quantity) for run in self.runs_of(method)])

    def summary(self, method: str, *, reach: float | None = None) -> Summary:
        """Return means and standard deviations of a method; ``reach`` is that of `target`."""
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
        """Return the test metric for "to reach": the given one, that of the study, or a default.

        The default is 95 % of the control's mean, rounded down to two decimals.
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
        """Return the interval of ``method`` minus ``other``, paired by the seeds of both."""
        ours = {run.seed: run for run in self.runs_of(method)}
        theirs = {run.seed: run for run in self.runs_of(other)}
        shared = [seed for seed in self.seeds if seed in ours and seed in theirs]
        values = [getattr(ours[s], quantity) - getattr(theirs[s], quantity) for s in shared]
        stepped = quantity == "test_metric" and self.metric_name == "accuracy" and shared
        rule = {"resolution": 1 / ours[shared[0]].num_test if stepped else 0.0}
        return interval(values, confidence=self.confidence, comparisons=comparisons, **rule)

    def differences(self) -> list[Difference]:
        """Return the differences of all other methods to the control, corrected together."""
        others = [method for method in self.methods if method != self.control]
        found = [self.difference(m, self.control, comparisons=len(others)) for m in others]
        corrected = iter(holm([one.p_value for one in found if one is not None]))
        return [
            Difference(m, self.control, one, None if one is None else next(corrected))
            for m, one in zip(others, found, strict=True)
        ]

    def is_whole(self, method: str) -> bool:
        """Return whether all runs of a method finished."""
        return len(self.runs_of(method)) == len(self.seeds)

    def ranked(self) -> list[str]:
        """Return the methods with a finished run, best mean test metric first.

        Methods with a failed run come last, because their means cover fewer seeds.
        """
        means = {m: self.spread(m, "test_metric")[0] for m in self.methods if self.runs_of(m)}
        return sorted(means, key=lambda method: (not self.is_whole(method), -means[method]))
