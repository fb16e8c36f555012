"""Standardising columns, and going back to the units of the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scaling:
    r"""An affine map for each column: :math:`z = (v - \mathrm{mean}) / \mathrm{scale}`.

    Attributes:
        mean: Shape ``(columns,)``, in the units of the source.
        scale: Shape ``(columns,)``, same units, never zero.
    """

    mean: Float64[Tensor, " columns"]
    scale: Float64[Tensor, " columns"]

    @classmethod
    def of(cls, rows: Float64[np.ndarray, "samples columns"], *, shared: bool = False) -> Scaling:
        r"""The scaling that gives ``rows`` mean 0 and standard deviation 1.

        The deviation is that of the rows themselves,
        :math:`\sqrt{\tfrac1n \sum_i (v_i - \mathrm{mean})^2}`, as in scikit-learn's
        StandardScaler. Constant columns are divided by 1 and so become 0.
        """
        measured = rows.reshape(-1, 1) if shared else rows
        constant = measured.max(axis=0) == measured.min(axis=0)
        mean = np.where(constant, measured[0], measured.mean(axis=0))
        scale = np.where(constant, 1.0, measured.std(axis=0))
        columns = rows.shape[1]
        return cls(
            mean=torch.tensor(np.broadcast_to(mean, columns).copy()),
            scale=torch.tensor(np.broadcast_to(scale, columns).copy()),
        )

    def standardize(
        self, values: Float[Tensor, "*rows columns"]
    ) -> Float64[Tensor, "*rows columns"]:
        """Map from the units of the source to mean 0 and deviation 1, in float64."""
        return (values.double() - self.mean) / self.scale

    def restore(self, values: Float[Tensor, "*rows columns"]) -> Float64[Tensor, "*rows columns"]:
        """Undo `standardize`, for instance to read a prediction in the units of the source."""
        return values.double() * self.scale + self.mean
