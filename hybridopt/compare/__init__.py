"""Fair comparison: methods on the same data and budgets, over seeds, and what follows from it."""

from hybridopt.compare.api import compare
from hybridopt.compare.budget import Budget
from hybridopt.compare.heuristics import recommend
from hybridopt.compare.methods import Method
from hybridopt.compare.recommend import Recommendation
from hybridopt.compare.study import Study, load_study
from hybridopt.compare.table import Table
from hybridopt.compare.tuning import Tuning

__all__ = [
    "Budget",
    "Method",
    "Recommendation",
    "Study",
    "Table",
    "Tuning",
    "compare",
    "load_study",
    "recommend",
]
