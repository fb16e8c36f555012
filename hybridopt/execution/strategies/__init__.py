"""Ways to run a job on Aer; all give the same numbers."""

from hybridopt.execution.strategies.checkpoints import Checkpoints
from hybridopt.execution.strategies.measured import Measured
from hybridopt.execution.strategies.one_by_one import OneByOne
from hybridopt.execution.strategies.piece import Piece, Strategy
from hybridopt.execution.strategies.saved_expectations import SavedExpectations
from hybridopt.execution.strategies.stacked import Stacked
from hybridopt.execution.strategies.table import Table

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
