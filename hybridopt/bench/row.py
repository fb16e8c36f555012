"""One measured row of the table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median

from hybridopt.bench.correctness import Verdict
from hybridopt.bench.peers import Competitor, Hybridopt
from hybridopt.bench.problem import Problem
from hybridopt.execution import Cost

TIMED, WRONG, SLOW, NOT_RUN = "timed", "wrong", "slow", "not run"


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
        method: Of Aer, for ours.
        device: For ours.
        precision: For ours.
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
        settings: One gradient of ours takes so many circuits of hardware.
        spent_shots: And so many measurements.
        runs: And so many circuits in the simulator.
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
        """A row with nothing measured yet."""
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
        """Seconds."""
        return median(self.seconds) if self.seconds else None

    @property
    def is_ours(self) -> bool:
        """Whether hybridopt ran it."""
        return self.library == "hybridopt"

    def stop(self, status: str, reason: str) -> None:
        """Not to be timed, or no longer."""
        self.status, self.reason = status, " ".join(reason.split())

    def judged(self, verdict: Verdict) -> None:
        """Take the verdict down."""
        self.deviation = verdict.deviation if math.isfinite(verdict.deviation) else None
        self.allowed = verdict.allowed
        self.deviation_unit = verdict.unit

    def spent(self, cost: Cost) -> None:
        """Take down what one gradient cost."""
        self.settings, self.spent_shots, self.runs = cost.settings, cost.shots, cost.runs

    def as_dict(self) -> dict[str, object]:
        """All fields, and what follows from them, for bench.json."""
        return {
            **self.__dict__,
            "median_seconds": self.median,
            "min_seconds": min(self.seconds, default=None),
            "max_seconds": max(self.seconds, default=None),
            "repetitions": len(self.seconds),
        }
