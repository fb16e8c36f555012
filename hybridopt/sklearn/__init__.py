"""Estimators for scikit-learn: classical networks and circuits in pipelines and searches."""

from hybridopt.sklearn.estimators import HybridClassifier, HybridRegressor

__all__ = ["HybridClassifier", "HybridRegressor"]
