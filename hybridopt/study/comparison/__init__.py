"""Fair comparison: methods on the same data and budgets, over seeds, and what follows from it."""

from hybridopt.study.comparison.budget import Budget
from hybridopt.study.comparison.compare import compare
from hybridopt.study.comparison.first_choice import recommend
from hybridopt.study.comparison.method import Method
from hybridopt.study.comparison.recommendation import Recommendation
from hybridopt.study.comparison.study import Study, load_study
from hybridopt.study.comparison.table import Table
from hybridopt.study.comparison.tuning import Tuning

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
