"""Measured rows of the table, and the goals that they are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from hybridopt.bench.peers.competitor import EXACT, SHIFT, Competitor, Hybridopt
from hybridopt.bench.problem import Problem

TIMED, WRONG, FAILED, SLOW, NOT_RUN = "timed", "wrong", "failed", "slow", "not run"
LEVEL = 0.9  # ratio that counts as equally fast: medians of few calls vary by a tenth


@dataclass
class Row:
    """Competitor on a problem; its fields are filled during the measurement."""

    problem: str
    family: str
    qubits: int
    weights: int  # P
    inputs: int  # I
    outputs: int  # K
    batch: int  # B
    shots: int | None  # per setting
    noise: float | None  # probability of depolarization after each gate
    observables: str  # the first of them, and their origin
    library: str
    competitor: str
    rule: str  # name of the gradient rule in that library
    kind: str  # equivalent rule of hybridopt
    method: str | None = None  # in Aer; like device and precision, for hybridopt only
    device: str | None = None
    precision: str | None = None
    status: str = NOT_RUN  # only TIMED has times; SLOW has that of its first call
    reason: str = ""  # for a status other than TIMED
    note: str = ""  # description of the execution
    deviation: float | None = None  # from the dense twin; None if it cannot be compared
    allowed: float | None = None  # largest deviation that passes
    deviation_unit: str | None = None
    prepare_seconds: float | None = None  # translation of the problem
    first_seconds: float | None = None  # first call, compilation included
    seconds: list[float] = field(default_factory=list)  # mean per call of each turn, in order
    cpu_seconds: list[float] = field(default_factory=list)  # the same of all threads together
    calls: int = 0  # timed calls in all turns
    settings: int | None = None  # per gradient; like shots and runs, for hybridopt only
    spent_shots: int | None = None  # per gradient
    runs: int | None = None  # per gradient

    @staticmethod
    def of(competitor: Competitor, problem: Problem) -> Row:
        """Return a row without measurements."""
        ours = ("method", "device", "precision") if isinstance(competitor, Hybridopt) else ()
        return Row(
            problem.name, problem.family, problem.num_qubits, len(problem.weights),
            len(problem.inputs), len(problem.observables), problem.batch, problem.shots,
            problem.noise, problem.observables_text, competitor.library, competitor.name,
            competitor.rule, competitor.kind, **{name: getattr(competitor, name) for name in ours},
        )  # fmt: skip

    @property
    def label(self) -> str:
        """Names of competitor and rule."""
        return f"{self.competitor}, {self.rule}"

    @property
    def median(self) -> float | None:
        """Median of the seconds; None if nothing was timed."""
        return median(self.seconds) if self.seconds else None

    @property
    def cpu_median(self) -> float | None:
        """Median of the CPU seconds; None if nothing was timed."""
        return median(self.cpu_seconds) if self.cpu_seconds else None

    @property
    def is_ours(self) -> bool:
        """Whether the competitor is hybridopt."""
        return self.library == "hybridopt"

    def stop(self, status: str, reason: str) -> None:
        """Set a status that ends the timing, and its reason; discard the times."""
        self.status, self.reason = status, " ".join(reason.split())
        self.seconds, self.cpu_seconds, self.calls = [], [], 0

    def as_dict(self) -> dict[str, object]:
        """Return all fields and the statistics of the times, for bench.json."""
        return {
            **self.__dict__,
            "median_seconds": self.median,
            "min_seconds": min(self.seconds, default=None),
            "max_seconds": max(self.seconds, default=None),
            "median_cpu_seconds": self.cpu_median,
            "repetitions": len(self.seconds),
        }


@dataclass(frozen=True)
class Goal:
    """Ratio of the fastest opponent's time to ours that should be reached."""

    problem: str
    rule: str  # ours, with the default method, device and precision
    against: tuple[str, ...]  # labels of rows; the fastest of them counts
    opponent: str  # common name of these rows
    factor: float  # ratio to reach

    @property
    def text(self) -> str:
        """Goal as a sentence."""
        words = f"{self.factor:g} times faster than"
        if self.factor < LEVEL:
            words = f"at most {1 / self.factor:g} times slower than"
        words = {LEVEL: "level with", 1: "faster than"}.get(self.factor, words)
        return f"{self.problem}: {self.rule} {words} {self.opponent}"


PENNYLANE = (f"PennyLane default.qubit, {SHIFT}", f"PennyLane lightning.qubit, {SHIFT}")
PENNYLANE_EXACT = ("PennyLane default.qubit, backprop", "PennyLane lightning.qubit, adjoint")
QNN = (
    f"EstimatorQNN on StatevectorEstimator, {SHIFT}",
    f"EstimatorQNN on Aer EstimatorV2, {SHIFT}",
)
SAMPLER = (f"SamplerQNN on Aer SamplerV2, {SHIFT}",)
_SHIFT = (SHIFT, PENNYLANE, "PennyLane's best parameter shift")
_ESTIMATOR = (SHIFT, QNN, "EstimatorQNN")
_EXACT = (EXACT, PENNYLANE_EXACT, "PennyLane's best exact rule")
_COMPILED = (EXACT, ("MindQuantum, 1 thread, adjoint",), "MindQuantum in one thread")
_NOISY = (EXACT, ("PennyLane default.mixed, backprop",), "PennyLane default.mixed")
GOALS = (
    Goal("ladder:4-16-16", *_SHIFT, 15),
    Goal("ladder:4-16-16", *_ESTIMATOR, 100),
    Goal("ladder:8-32-16", *_SHIFT, 6),
    Goal("ladder:8-32-16", *_ESTIMATOR, 45),
    Goal("ladder:10-60-32", *_SHIFT, 4),
    Goal("ladder:4-16-16", *_EXACT, 1),
    Goal("ladder:8-32-16", *_EXACT, 1),
    Goal("ladder:10-60-32", *_EXACT, 1),
    Goal("ladder:14-84-32", *_EXACT, LEVEL),
    Goal("ladder:4-16-16, 1024 shots", SHIFT, PENNYLANE, "PennyLane", 10),
    Goal("ladder:4-16-16, 1024 shots", SHIFT, SAMPLER, "SamplerQNN", 100),
    Goal("ladder:4-16-16", *_COMPILED, 1 / 1.2),
    Goal("ladder:8-32-16", *_COMPILED, 1),
    Goal("ladder:10-60-32", *_COMPILED, 1 / 1.4),
    Goal("ladder:14-84-32", *_COMPILED, 1 / 1.8),
    Goal("ladder:4-16-16, noise 0.01", *_NOISY, 3),
    Goal("ladder:6-24-4, noise 0.01", *_NOISY, 3),
    Goal("ladder:8-16-2, noise 0.01", *_NOISY, 4),
)


@dataclass(frozen=True)
class Finding:
    """Measured ratio beside its goal."""

    text: str  # goal as a sentence
    factor: float  # ratio to reach
    measured: float  # median over the rounds of the ratio theirs / ours
    opponent: str  # label of the fastest row
    reached: bool


def evaluate(rows: Iterable[Row], goals: Iterable[Goal] = GOALS) -> list[Finding]:
    """Return the findings of all goals for which we and at least one opponent were timed."""
    timed = [row for row in rows if row.seconds]
    found = []
    for goal in goals:
        members = [row for row in timed if row.problem == goal.problem]
        ours = [row for row in members if row.label == f"hybridopt, {goal.rule}"]
        theirs = [row for row in members if row.label in goal.against]
        if ours and theirs:
            best = min(theirs, key=lambda row: median(row.seconds))
            # ratio per round, since a slow moment of the machine affects both times
            measured = median(a / b for a, b in zip(best.seconds, ours[0].seconds, strict=False))
            reached = measured >= goal.factor
            found.append(Finding(goal.text, goal.factor, measured, best.label, reached))
    return found
