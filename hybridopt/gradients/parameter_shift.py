r"""The parameter-shift rule: derivatives of circuits from the same circuits at other angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

SHIFT = math.pi / 2  # [rad], for generators with eigenvalues +-1/2


@dataclass(frozen=True)
class ParameterShift:
    r"""Exact derivatives from shifted settings; works on simulators and hardware alike.

    For a rotation :math:`e^{-i\theta P/2}` with :math:`P^2 = I`,

    .. math::
        \partial_\theta f(\theta) = \tfrac12 [f(\theta + \tfrac\pi2) - f(\theta - \tfrac\pi2)] .

    Where all rotations turn the same qubit under different values of an index (a uniformly
    controlled rotation read out per index), the generators commute, one common shift moves every
    angle at once, and :math:`f(\theta + \pi/2) = -f(\theta - \pi/2)`: one setting,
    `common_shift`, gives the derivative with respect to each of the N angles.

    References:
        Schuld et al., Phys. Rev. A 99, 032331 (2019), arXiv:1811.11184;
        Bowles et al., arXiv:2306.14962 (commuting generators).
    """

    name: ClassVar[str] = "parameter-shift"

    def common_shift(
        self, theta: Float64[np.ndarray, " N"], order: int
    ) -> Float64[np.ndarray, " N"]:
        r"""Angles whose readout is the derivative of the given order, up to the sign (-1)^order.

        Args:
            theta: Angles of a uniformly controlled rotation [rad], shape ``(N,)``.
            order: 0 reads cos(theta); each order more shifts by another -pi/2, because
                d cos(theta)/d theta = -cos(theta - pi/2).
        """
        return theta - order * SHIFT
