"""Executors: what runs circuits, and what it costs. Numpy at the border, no autograd."""

from hybridopt.execution.aer import AerExecutor, available_devices
from hybridopt.execution.cost import Cost
from hybridopt.execution.executor import Executor, Metered
from hybridopt.execution.job import Job, Probabilities, Readout, Stream

__all__ = [
    "AerExecutor",
    "Cost",
    "Executor",
    "Job",
    "Metered",
    "Probabilities",
    "Readout",
    "Stream",
    "available_devices",
]
