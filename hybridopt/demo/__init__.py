"""Main job: one network trained classically, as a circuit and fine-tuned, with a report."""

from hybridopt.demo.job import Result, RunOutcome, RunSettings, run_main_job
from hybridopt.demo.report import write_report

__all__ = ["Result", "RunOutcome", "RunSettings", "run_main_job", "write_report"]
