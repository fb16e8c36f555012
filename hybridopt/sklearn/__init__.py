"""Estimators for scikit-learn: networks, classical or in circuits, in pipelines and searches."""

from hybridopt.sklearn.estimators import HybridClassifier, HybridRegressor

__all__ = ["HybridClassifier", "HybridRegressor"]
