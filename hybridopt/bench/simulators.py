"""The simulators suite: every planned problem, all its competitors in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from hybridopt.bench.goals import Finding, evaluate
from hybridopt.bench.measure import measure
from hybridopt.bench.plan import QUICK_SECONDS, Plan, SimulatorSettings
from hybridopt.bench.row import Row

MEASURED = (
    "forward values and the gradient by all weights of the mean over the batch of the summed "
    "outputs, from angles and inputs that are new in every repetition, float64"
)


@dataclass(frozen=True)
class SimulatorOutcome:
    """All rows of one run.

    Attributes:
        settings: What was asked for.
        rows: One a problem and competitor.
        findings: Goals that these rows decide.
        notes: What was left out.
        seconds: Wall time of the whole.
    """

    settings: SimulatorSettings
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For bench.json."""
        return {
            "measured": MEASURED,
            "settings": asdict(self.settings),
            "seconds": self.seconds,
            "goals": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "rows": [row.as_dict() for row in self.rows],
        }


def run_simulators(
    settings: SimulatorSettings,
    plan: Plan,
    *,
    report: Callable[[str], object] = lambda _: None,
    started: float | None = None,
) -> SimulatorOutcome:
    """Measure a plan.

    Args:
        settings: Repetitions, limits and seed.
        plan: Of these settings.
        report: Told what is measured next.
        started: When a quick run began, on the clock of `time.perf_counter`; None is now.
    """
    began = time.perf_counter()
    ends = QUICK_SECONDS + (began if started is None else started) if settings.quick else math.inf
    rows: list[Row] = []
    for problem, competitors in plan.entries:
        rows += measure(
            problem,
            competitors,
            repetitions=settings.rounds,
            max_seconds=settings.limit,
            seed=settings.seed,
            ends=ends,
            earlier=rows,
            report=report,
        )
    return SimulatorOutcome(
        settings=settings,
        rows=tuple(rows),
        findings=tuple(evaluate(rows)),
        notes=plan.notes,
        seconds=time.perf_counter() - began,
    )
