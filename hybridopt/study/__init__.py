"""Studies: the main job, and what is told of it."""

from hybridopt.study.main_job import Result, RunOutcome, RunSettings, run_main_job
from hybridopt.study.report import write_report

__all__ = ["Result", "RunOutcome", "RunSettings", "run_main_job", "write_report"]
