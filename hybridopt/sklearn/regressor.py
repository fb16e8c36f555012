"""`HybridRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from hybridopt.errors import DataError
from hybridopt.sklearn.estimator import HybridEstimator


class HybridRegressor(RegressorMixin, HybridEstimator):  # type: ignore[misc]
    """A regressor for scikit-learn: a torch network, trained as it is or in a circuit.

    Features should be standardised, and so should targets far from the range of -1 to 1
    (``sklearn.compose.TransformedTargetRegressor``). The parameters and attributes are those of
    `HybridClassifier`, without ``classes_``; ``loss=None`` is the mean squared error, and the
    network returns a value for each target.

    Example:
        >>> from hybridopt.sklearn import HybridRegressor
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 60)[:, None]
        >>> model = HybridRegressor(optimizer="lbfgs", random_state=0).fit(x, np.sin(2 * x[:, 0]))
        >>> bool(model.score(x, np.sin(2 * x[:, 0])) > 0.99)
        True
    """

    def fit(self, X: object, y: object) -> HybridRegressor:  # noqa: N803
        """Train a new network on samples and their targets.

        Args:
            X: Shape ``(samples, features)``.
            y: Shape ``(samples,)`` or ``(samples, targets)``.
        """
        samples, targets = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        if targets.dtype.kind not in "buif":
            raise DataError(
                f"Targets must be real numbers, but are of dtype {targets.dtype}. Convert them, as "
                "by y.astype(float), or use HybridClassifier for labels."
            )
        self._is_flat = targets.ndim == 1
        table = torch.tensor(targets, dtype=torch.float64).reshape(len(targets), -1)
        self._train(samples, table, table.shape[1])
        return self

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """The network's values, of the shape that targets had in `fit`."""
        values = self._outputs(X)
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
