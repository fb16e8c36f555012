"""What hybridopt wants to reach, as ratios measured in one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from hybridopt.bench.row import Row

PENNYLANE_SHIFT = (
    "PennyLane default.qubit, parameter-shift",
    "PennyLane lightning.qubit, parameter-shift",
)
PENNYLANE_EXACT = ("PennyLane default.qubit, backprop", "PennyLane lightning.qubit, adjoint")
ESTIMATOR = (
    "EstimatorQNN on StatevectorEstimator, parameter-shift",
    "EstimatorQNN on Aer EstimatorV2, parameter-shift",
)
SAMPLER = ("SamplerQNN on Aer SamplerV2, parameter-shift",)
LEVEL = 0.9  # so many times as fast counts as level: medians of few calls scatter by a tenth


@dataclass(frozen=True)
class Goal:
    """So many times faster than the best of some others.

    Attributes:
        problem: By its name.
        rule: Of ours, with the default method, device and precision.
        against: Labels of rows; the fastest of them counts.
        opponent: What they are called together.
        factor: To reach.
    """

    problem: str
    rule: str
    against: tuple[str, ...]
    opponent: str
    factor: float

    @property
    def text(self) -> str:
        """As a sentence."""
        if self.factor == LEVEL:
            return f"{self.problem}: {self.rule} level with {self.opponent}"
        faster = "faster" if self.factor == 1 else f"{self.factor:g} times faster"
        return f"{self.problem}: {self.rule} {faster} than {self.opponent}"


def _shift(problem: str, pennylane: float, estimator: float | None) -> list[Goal]:
    rule, best = "parameter-shift", "PennyLane's best parameter shift"
    goals = [Goal(problem, rule, PENNYLANE_SHIFT, best, pennylane)]
    if estimator is not None:
        goals.append(Goal(problem, rule, ESTIMATOR, "EstimatorQNN", estimator))
    return goals


def _adjoint(problem: str, factor: float) -> Goal:
    return Goal(problem, "adjoint", PENNYLANE_EXACT, "PennyLane's best exact rule", factor)


GOALS: tuple[Goal, ...] = (
    *_shift("ladder:4-16-16", 15, 100),
    *_shift("ladder:8-32-16", 6, 45),
    *_shift("ladder:10-60-32", 4, None),
    _adjoint("ladder:4-16-16", 1),
    _adjoint("ladder:8-32-16", 1),
    _adjoint("ladder:10-60-32", 1),
    _adjoint("ladder:14-84-32", LEVEL),
    Goal("ladder:4-16-16, 1024 shots", "parameter-shift", PENNYLANE_SHIFT, "PennyLane", 10),
    Goal("ladder:4-16-16, 1024 shots", "parameter-shift", SAMPLER, "SamplerQNN", 100),
)


@dataclass(frozen=True)
class Finding:
    """A goal and what was measured.

    Attributes:
        text: The goal as a sentence.
        factor: To reach.
        measured: Median over the rounds of theirs / ours.
        opponent: Whose row was the fastest.
        reached: Whether measured is factor or more.
    """

    text: str
    factor: float
    measured: float
    opponent: str
    reached: bool


def evaluate(rows: Iterable[Row], goals: Iterable[Goal] = GOALS) -> list[Finding]:
    """Findings of all goals whose rows were timed, ours and each of theirs that took part."""
    timed = [row for row in rows if row.seconds]
    found = []
    for goal in goals:
        ours = [r for r in timed if r.problem == goal.problem and r.label == _label(goal.rule)]
        theirs = [r for r in timed if r.problem == goal.problem and r.label in goal.against]
        if not ours or not theirs:
            continue
        best = min(theirs, key=lambda row: median(row.seconds))
        measured = _ratio(best.seconds, ours[0].seconds)
        found.append(Finding(goal.text, goal.factor, measured, best.label, measured >= goal.factor))
    return found


def _label(rule: str) -> str:
    return f"hybridopt, {rule}"


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """Round by round, so that a slow minute hits both."""
    return median(a / b for a, b in zip(theirs, ours, strict=False))
