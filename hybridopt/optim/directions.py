"""Newton directions from the curvature matrix or from products with it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.optim.curvature import Curvature, finite_products

SMALLEST_DAMPING = 1e-6  # relative to the largest diagonal element; smaller damping is 0
GROWTH = 2.0  # factor between dampings; 4 and 10 are too large and slow down training
MAX_GROWTHS = 100  # from 1e-6 to 1e24 of the scale, where the direction is the gradient


class CholeskyDirections:
    r"""Solutions of :math:`(H + \lambda I)\, d = -g` for growing damping :math:`\lambda`.

    The cost per damping is one Cholesky factorization in float64, :math:`n^3/3` multiplications. A
    factor is accepted only if its smallest squared pivot is above the relative rounding error
    ``resolution`` of :math:`H`. Otherwise the solution for a singular matrix would be noise.

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
        """Yield directions with their dampings, from ``damping`` upwards."""
        for _ in range(MAX_GROWTHS):
            damped = self._matrix.clone()
            damped.diagonal().add_(damping)
            factor, info = torch.linalg.cholesky_ex(damped)
            pivots = factor.diagonal().square()
            if int(info) == 0 and bool(pivots.min() > self._noise * pivots.max()):
                yield -torch.cholesky_solve(self._gradient[:, None], factor)[:, 0], damping
            damping = max(GROWTH * damping, self.smallest_damping)


class ConjugateGradientDirections:
    r"""Approximate solutions of :math:`(H + \lambda I)\, d = -g` without forming :math:`H`.

    The iteration starts at 0. It stops when the residual is below
    :math:`\min(1/2, \sqrt{\lVert g \rVert})\, \lVert g \rVert`, or after ``max_steps`` products. It
    also stops at a search direction without positive curvature. Then the result is the current
    iterate (the gradient step in the first iteration), and the next step has more damping. The
    cost is one product per iteration. ``resolution`` is the relative rounding error of a product.

    References:
        Dembo & Steihaug, Math. Programming 26, 190 (1983); Nocedal & Wright, Numerical
        Optimization, 2nd ed. (2006), algorithm 7.1; Martens, ICML (2010), for networks.
    """

    def __init__(self, curvature: Curvature, *, resolution: float, max_steps: int) -> None:
        self._curvature = curvature
        self._gradient = curvature.gradient
        self._resolution = resolution
        self._max_steps = max_steps
        self._along_gradient = 0.0
        self.smallest_damping = float(self._gradient.norm())

    def directions(
        self, damping: float
    ) -> Iterator[tuple[Float64[Tensor, " num_parameters"], float]]:
        """Yield the truncated solution, then the gradient step, with their dampings."""
        direction, missing = self._solve(damping)
        grown = max(GROWTH * damping, missing, self.smallest_damping)
        yield direction, grown if missing else damping
        curvature = self._along_gradient + damping
        yield -self._gradient / (curvature if curvature > 0 else 1.0), grown

    def _solve(self, damping: float) -> tuple[Float64[Tensor, " num_parameters"], float]:
        """Return the iterate and the damping that makes all curvature positive, or 0."""
        solution = torch.zeros_like(self._gradient)
        residual = -self._gradient
        search = residual
        square = float(residual @ residual)
        target = min(0.5, math.sqrt(math.sqrt(square))) * math.sqrt(square)
        for iteration in range(self._max_steps):
            image = finite_products(self._curvature, search[None])[0]
            curvature = float(search @ image) / float(search @ search)
            if iteration == 0:
                self._along_gradient = curvature
                self.smallest_damping = SMALLEST_DAMPING * abs(curvature) or self.smallest_damping
            noise = self._resolution * float(image.norm() / search.norm())
            if not curvature + damping > noise:
                return (solution if iteration else residual), noise - curvature
            image = image + damping * search
            length = square / float(search @ image)
            solution = solution + length * search
            residual = residual - length * image
            previous, square = square, float(residual @ residual)
            if math.sqrt(square) <= target:
                break
            search = residual + square / previous * search
        return solution, 0.0
