"""Newton directions from the whole curvature matrix, damped until it is positive definite."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float64
from torch import Tensor

SMALLEST_DAMPING = 1e-6  # of the largest diagonal element: below it, damping is 0
GROWTH = 2.0  # between one damping and the next; 4 and 10 overshoot and slow networks down
MAX_GROWTHS = 100  # from 1e-6 to 1e24 of the scale: by then a direction is the gradient's


class CholeskyDirections:
    r"""Solutions of :math:`(H + \lambda I)\, d = -g` for growing damping :math:`\lambda`.

    Costs one Cholesky factorization in float64, :math:`n^3/3` multiplications, for each damping
    that is tried. A factor counts only if its smallest squared pivot stands clear of the
    rounding error in :math:`H`, so that a singular matrix is damped and not divided by noise.

    Args:
        gradient: :math:`g`.
        matrix: :math:`H`, symmetric.
        resolution: Relative rounding error of the elements of ``matrix``.

    References:
        Levenberg, Quart. Appl. Math. 2, 164 (1944); Marquardt, J. SIAM 11, 431 (1963);
        Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithm 3.3.
    """

    def __init__(
        self,
        gradient: Float64[Tensor, " num_parameters"],
        matrix: Float64[Tensor, "num_parameters num_parameters"],
        *,
        resolution: float,
    ) -> None:
        self._gradient = gradient
        self._matrix = matrix
        self._noise = len(matrix) * resolution
        scale = float(matrix.diagonal().abs().max())
        self.smallest_damping = SMALLEST_DAMPING * scale or float(gradient.norm())

    def directions(
        self, damping: float
    ) -> Iterator[tuple[Float64[Tensor, " num_parameters"], float]]:
        """Directions, each with its damping, from ``damping`` upwards."""
        for _ in range(MAX_GROWTHS):
            factor = self._factor(damping)
            if factor is not None:
                yield -torch.cholesky_solve(self._gradient[:, None], factor)[:, 0], damping
            damping = max(GROWTH * damping, self.smallest_damping)

    def _factor(self, damping: float) -> Float64[Tensor, "num_parameters num_parameters"] | None:
        damped = self._matrix.clone()
        damped.diagonal().add_(damping)
        factor: Tensor
        factor, info = torch.linalg.cholesky_ex(damped)
        pivots = factor.diagonal().square()
        definite = int(info) == 0 and bool(pivots.min() > self._noise * pivots.max())
        return factor if definite else None
