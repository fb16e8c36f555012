"""Qiskit Aer as an executor: on CPU or GPU, exact, with shots or with noise."""

from hybridopt.execution.aer.executor import AerExecutor, available_devices

__all__ = ["AerExecutor", "available_devices"]
