"""One measured row of the table, and the goals that rows decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from hybridopt.bench.peers.competitor import EXACT, SHIFT, Competitor, Hybridopt
from hybridopt.bench.problem import Problem

TIMED, WRONG, SLOW, NOT_RUN = "timed", "wrong", "slow", "not run"
LEVEL = 0.9  # so many times as fast counts as level: medians of few calls scatter by a tenth


@dataclass
class Row:
    """A competitor on a problem; filled while it is measured."""

    problem: str  # its name
    family: str
    qubits: int
    weights: int  # P
    inputs: int  # I
    outputs: int  # K
    batch: int  # B
    shots: int | None  # per setting
    library: str  # of the competitor
    competitor: str
    rule: str  # as its library calls it
    kind: str  # our rule that does the same
    method: str | None = None  # of Aer, for ours, as are device and precision
    device: str | None = None
    precision: str | None = None
    status: str = NOT_RUN  # WRONG is never timed, of SLOW only the first call
    reason: str = ""  # why it was not timed
    note: str = ""  # how it is run
    deviation: float | None = None  # from the dense twin; None where it has no bound
    allowed: float | None = None  # deviation that passes
    deviation_unit: str | None = None
    prepare_seconds: float | None = None  # to translate the problem
    first_seconds: float | None = None  # of the first call, compilation included
    seconds: list[float] = field(default_factory=list)  # per call, mean of every turn, in order
    calls: int = 0  # timed in all turns together
    settings: int | None = None  # circuits of hardware that one gradient of ours takes
    spent_shots: int | None = None  # measurements, likewise
    runs: int | None = None  # circuits in the simulator, likewise

    @staticmethod
    def of(competitor: Competitor, problem: Problem) -> Row:
        """Return a row with nothing measured yet."""
        ours = ("method", "device", "precision") if isinstance(competitor, Hybridopt) else ()
        return Row(
            problem.name, problem.family, problem.num_qubits, len(problem.weights),
            len(problem.inputs), len(problem.observables), problem.batch, problem.shots,
            competitor.library, competitor.name, competitor.rule, competitor.kind,
            **{name: getattr(competitor, name) for name in ours},
        )  # fmt: skip

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
    """So many times faster than the best of some others."""

    problem: str  # its name
    rule: str  # of ours, with the default method, device and precision
    against: tuple[str, ...]  # labels of rows; the fastest of them counts
    opponent: str  # their name together
    factor: float  # to reach

    @property
    def text(self) -> str:
        """The goal as a sentence."""
        words = f"{self.factor:g} times faster than"
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
)


@dataclass(frozen=True)
class Finding:
    """A goal and what was measured."""

    text: str  # the goal as a sentence
    factor: float  # to reach
    measured: float  # median over the rounds of theirs / ours
    opponent: str  # label of the fastest row
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
