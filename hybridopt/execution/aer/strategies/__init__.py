"""Ways to run a job on Aer; all give the same numbers."""

from hybridopt.execution.aer.strategies.base import Piece, Strategy
from hybridopt.execution.aer.strategies.checkpoints import Checkpoints
from hybridopt.execution.aer.strategies.measured import Measured
from hybridopt.execution.aer.strategies.one_by_one import OneByOne
from hybridopt.execution.aer.strategies.saved_expectations import SavedExpectations
from hybridopt.execution.aer.strategies.stacked import Stacked
from hybridopt.execution.aer.strategies.table import Table

__all__ = [
    "Checkpoints",
    "Measured",
    "OneByOne",
    "Piece",
    "SavedExpectations",
    "Stacked",
    "Strategy",
    "Table",
]
