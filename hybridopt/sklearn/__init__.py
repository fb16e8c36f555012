"""Estimators for scikit-learn: networks, classical or in circuits, in pipelines and searches."""

from hybridopt.sklearn.classifier import HybridClassifier
from hybridopt.sklearn.regressor import HybridRegressor

__all__ = ["HybridClassifier", "HybridRegressor"]
