"""Benchmarks: ratios measured in one run."""

from hybridopt.bench.plan import Plan, SimulatorSettings, make_plan
from hybridopt.bench.problem import Problem, ladder, reuploading
from hybridopt.bench.results import BenchOutcome, write_outcome
from hybridopt.bench.simulators import SimulatorOutcome, run_simulators
from hybridopt.bench.training_suite import TrainingOutcome, run_training

__all__ = [
    "BenchOutcome",
    "Plan",
    "Problem",
    "SimulatorOutcome",
    "SimulatorSettings",
    "TrainingOutcome",
    "ladder",
    "make_plan",
    "reuploading",
    "run_simulators",
    "run_training",
    "write_outcome",
]
