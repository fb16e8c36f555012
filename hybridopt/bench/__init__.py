"""Benchmarks: ratios measured in one run."""

from hybridopt.bench.suite import BenchOutcome, run_benchmarks, write_outcome

__all__ = ["BenchOutcome", "run_benchmarks", "write_outcome"]
