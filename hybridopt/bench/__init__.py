"""Benchmarks of simulators and of training, as ratios measured in one run."""

from hybridopt.bench.cluster_suite import ClusterRow, run_cluster
from hybridopt.bench.gpu_suite import GpuRow, run_gpu
from hybridopt.bench.peers.competitor import Competitor, PreparedProblem
from hybridopt.bench.problem import Problem, ladder, reuploading
from hybridopt.bench.results import BenchOutcome, write_csv, write_outcome
from hybridopt.bench.simulators import (
    BenchPlan,
    SimulatorOutcome,
    SimulatorSettings,
    make_plan,
    run_simulators,
)
from hybridopt.bench.training_suite import TrainingOutcome, run_training

__all__ = [
    "BenchOutcome",
    "BenchPlan",
    "ClusterRow",
    "Competitor",
    "GpuRow",
    "PreparedProblem",
    "Problem",
    "SimulatorOutcome",
    "SimulatorSettings",
    "TrainingOutcome",
    "ladder",
    "make_plan",
    "reuploading",
    "run_cluster",
    "run_gpu",
    "run_simulators",
    "run_training",
    "write_csv",
    "write_outcome",
]
