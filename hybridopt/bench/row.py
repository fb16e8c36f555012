"""One measured row of the table, and the goals that rows decide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from hybridopt.bench.correctness import Deviation
from hybridopt.bench.peers import Competitor, Hybridopt
from hybridopt.bench.problem import Problem
from hybridopt.execution import Cost

TIMED, WRONG, SLOW, NOT_RUN = "timed", "wrong", "slow", "not run"
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


@dataclass
class Row:
    """A competitor on a problem; filled while it is measured.

    Attributes:
        problem: Its name.
        family: Of the problem.
        qubits: Of its circuit.
        weights: P.
        inputs: I.
        outputs: K.
        batch: B.
        shots: A setting, or None.
        library: Of the competitor.
        competitor: Its name.
        rule: As its library calls it.
        kind: Our rule that does the same.
        method: Of Aer, for ours, as are device and precision.
        status: ``"timed"``; ``"wrong"`` (deviates: never timed); ``"slow"`` (only the first call);
            ``"not run"``.
        reason: Why it was not timed.
        note: How it is run.
        deviation: From the dense twin, in ``deviation_unit``; None where it has no bound.
        allowed: Deviation that passes.
        deviation_unit: ``"relative"`` or ``"standard errors"``.
        prepare_seconds: To translate the problem.
        first_seconds: Of the first call, compilation included.
        seconds: A call, mean of every turn, in order.
        calls: Timed in all turns together.
        settings: Circuits of hardware that one gradient of ours takes.
        spent_shots: Measurements, likewise.
        runs: Circuits in the simulator, likewise.
    """

    problem: str
    family: str
    qubits: int
    weights: int
    inputs: int
    outputs: int
    batch: int
    shots: int | None
    library: str
    competitor: str
    rule: str
    kind: str
    method: str | None = None
    device: str | None = None
    precision: str | None = None
    status: str = NOT_RUN
    reason: str = ""
    note: str = ""
    deviation: float | None = None
    allowed: float | None = None
    deviation_unit: str | None = None
    prepare_seconds: float | None = None
    first_seconds: float | None = None
    seconds: list[float] = field(default_factory=list)
    calls: int = 0
    settings: int | None = None
    spent_shots: int | None = None
    runs: int | None = None

    @staticmethod
    def of(competitor: Competitor, problem: Problem) -> Row:
        """Return a row with nothing measured yet."""
        ours = competitor if isinstance(competitor, Hybridopt) else None
        return Row(
            problem=problem.name,
            family=problem.family,
            qubits=problem.num_qubits,
            weights=len(problem.weights),
            inputs=len(problem.inputs),
            outputs=len(problem.observables),
            batch=problem.batch,
            shots=problem.shots,
            library=competitor.library,
            competitor=competitor.name,
            rule=competitor.rule,
            kind=competitor.kind,
            method=ours.method if ours else None,
            device=ours.device if ours else None,
            precision=ours.precision if ours else None,
        )

    @property
    def label(self) -> str:
        """Competitor and rule."""
        return f"{self.competitor}, {self.rule}"

    @property
    def median(self) -> float | None:
        """Median of the seconds."""
        return median(self.seconds) if self.seconds else None

    @property
    def is_ours(self) -> bool:
        """Whether hybridopt ran it."""
        return self.library == "hybridopt"

    def stop(self, status: str, reason: str) -> None:
        """Note that it is not to be timed, or no longer."""
        self.status, self.reason = status, " ".join(reason.split())

    def note_deviation(self, found: Deviation) -> None:
        """Take down how far the result is off."""
        self.deviation = found.size if math.isfinite(found.size) else None
        self.allowed, self.deviation_unit = found.allowed, found.unit

    def note_cost(self, cost: Cost) -> None:
        """Take down what one gradient cost."""
        self.settings, self.spent_shots, self.runs = cost.settings, cost.shots, cost.runs

    def as_dict(self) -> dict[str, object]:
        """Return all fields, and what follows from them, for bench.json."""
        return {
            **self.__dict__,
            "median_seconds": self.median,
            "min_seconds": min(self.seconds, default=None),
            "max_seconds": max(self.seconds, default=None),
            "repetitions": len(self.seconds),
        }


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
        """The goal as a sentence."""
        words = f"{self.factor:g} times faster than"
        words = {LEVEL: "level with", 1: "faster than"}.get(self.factor, words)
        return f"{self.problem}: {self.rule} {words} {self.opponent}"


_SHIFT = ("parameter-shift", PENNYLANE_SHIFT, "PennyLane's best parameter shift")
_ESTIMATOR = ("parameter-shift", ESTIMATOR, "EstimatorQNN")
_EXACT = ("adjoint", PENNYLANE_EXACT, "PennyLane's best exact rule")
GOALS: tuple[Goal, ...] = (
    Goal("ladder:4-16-16", *_SHIFT, 15),
    Goal("ladder:4-16-16", *_ESTIMATOR, 100),
    Goal("ladder:8-32-16", *_SHIFT, 6),
    Goal("ladder:8-32-16", *_ESTIMATOR, 45),
    Goal("ladder:10-60-32", *_SHIFT, 4),
    Goal("ladder:4-16-16", *_EXACT, 1),
    Goal("ladder:8-32-16", *_EXACT, 1),
    Goal("ladder:10-60-32", *_EXACT, 1),
    Goal("ladder:14-84-32", *_EXACT, LEVEL),
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
    """Return findings of all goals whose rows were timed, ours and one of theirs at least."""
    timed = [row for row in rows if row.seconds]
    found = []
    for goal in goals:
        members = [row for row in timed if row.problem == goal.problem]
        ours = [row for row in members if row.label == f"hybridopt, {goal.rule}"]
        theirs = [row for row in members if row.label in goal.against]
        if ours and theirs:
            best = min(theirs, key=lambda row: median(row.seconds))
            # round by round, so that a slow minute hits both
            measured = median(a / b for a, b in zip(best.seconds, ours[0].seconds, strict=False))
            reached = measured >= goal.factor
            found.append(Finding(goal.text, goal.factor, measured, best.label, reached))
    return found
