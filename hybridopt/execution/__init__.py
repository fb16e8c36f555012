"""Executors run circuits and count their cost, with numpy arrays and without autograd."""

from hybridopt.execution.aer.devices import available_devices
from hybridopt.execution.aer.executor import AerExecutor
from hybridopt.execution.cost import Cost
from hybridopt.execution.dask.executor import DaskExecutor
from hybridopt.execution.executor import (
    Executor,
    ForwardRecord,
    Metered,
    StateExecutor,
    check_executor,
)
from hybridopt.execution.job import Job, Stream
from hybridopt.execution.primitive.executor import PrimitiveExecutor
from hybridopt.execution.readout import Expectations, Probabilities, Readout
from hybridopt.execution.result import PendingResult, Result

__all__ = [
    "AerExecutor",
    "Cost",
    "DaskExecutor",
    "Executor",
    "Expectations",
    "ForwardRecord",
    "Job",
    "Metered",
    "PendingResult",
    "PrimitiveExecutor",
    "Probabilities",
    "Readout",
    "Result",
    "StateExecutor",
    "Stream",
    "available_devices",
    "check_executor",
]
