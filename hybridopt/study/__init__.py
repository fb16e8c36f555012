"""Studies: the main job, fair comparison, and what is told of them."""

from hybridopt.study.comparison import (
    Budget,
    Method,
    Recommendation,
    Study,
    Table,
    Tuning,
    compare,
    load_study,
    recommend,
)
from hybridopt.study.main_job import Result, RunOutcome, RunSettings, run_main_job
from hybridopt.study.report import write_report

__all__ = [
    # the main job
    "Result",
    "RunOutcome",
    "RunSettings",
    "run_main_job",
    "write_report",
    # fair comparison
    "Budget",
    "Method",
    "Recommendation",
    "Study",
    "Table",
    "Tuning",
    "compare",
    "load_study",
    "recommend",
]
