"""Strategies to run a job on Aer; all give the same numbers."""

from hybridopt.execution.aer.strategies.base import PartialResult, Strategy
from hybridopt.execution.aer.strategies.checkpoints import Checkpoints
from hybridopt.execution.aer.strategies.per_setting import (
    AngleTable,
    Measured,
    OneByOne,
    SavedExpectations,
)
from hybridopt.execution.aer.strategies.stacked import Stacked

__all__ = [
    "Checkpoints",
    "Measured",
    "OneByOne",
    "PartialResult",
    "SavedExpectations",
    "Stacked",
    "Strategy",
    "AngleTable",
]
