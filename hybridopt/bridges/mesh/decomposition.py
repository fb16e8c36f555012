r"""Decomposition of a real matrix into rotations of neighbouring modes, one angle per entry.

A mesh represents :math:`W = \alpha U S V^\top`, ``(m, n)``, of rank at most :math:`r = \min(m, n)`
and spectral norm at most :math:`\alpha`. Let :math:`R(t) = [[\cos t, \sin t], [-\sin t, \cos t]]`
act on modes ``c, c + 1``. The r rows of :math:`A = V^\top` are reduced to :math:`[D \; 0]`,
:math:`D_{ii} = \pm 1`, by :math:`A \leftarrow A R(t)^\top`: for ``i = 0 .. r-1``, for
``c = n-2 .. i``: ``t = atan2(A[i, c+1], A[i, c])``. The rows of :math:`U^\top` are reduced in the
same way; their rotations act in reverse order by ``-t``. Between both, a rotation by
:math:`\arccos(d^U_k s_k d^V_k)` leaves :math:`s_k` of the amplitude of mode k and moves the rest to
a loss mode. The number of angles is ``r (n + m - r) = m n``.

References:
    Reck et al., Phys. Rev. Lett. 73, 58 (1994); Kerenidis, Landman and Mathur, arXiv:2106.07198.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

Pair = tuple[int, int]  # modes (a, b) of a rotation


@dataclass(frozen=True)
class MeshShape:
    """Modes of the rotations for all matrices of one shape; the last r are loss modes."""

    num_outputs: int  # m
    num_inputs: int  # n

    @property
    def rank(self) -> int:
        """Largest rank r of the matrix, and number of loss modes."""
        return min(self.num_outputs, self.num_inputs)

    @property
    def num_modes(self) -> int:
        """Number of all modes, including loss modes."""
        return self.num_outputs + self.num_inputs

    @property
    def num_angles(self) -> int:
        """Number of angles, P = m n."""
        return self.num_outputs * self.num_inputs

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Modes of each rotation, in the order in which they act."""
        losses = [(k, self.num_modes - self.rank + k) for k in range(self.rank)]
        first, last = self._steps(self.num_inputs), self._steps(self.num_outputs)
        pairs = [(c, c + 1) for _, c in first]
        return (*pairs, *losses, *((c, c + 1) for _, c in reversed(last)))

    @cached_property
    def sweeps(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the rotations in few groups; rotations of a group act on different modes."""
        free = [0] * self.num_modes  # first group in which a mode is free
        groups: list[list[int]] = []
        for number, (a, b) in enumerate(self.pairs):
            place = max(free[a], free[b])
            free[a] = free[b] = place + 1
            if place == len(groups):
                groups.append([])
            groups[place].append(number)
        return tuple(map(tuple, groups))

    def decompose(
        self, matrix: Float64[np.ndarray, "m n"], alpha: float
    ) -> Float64[np.ndarray, " P"]:
        """Return the angles t [rad] of W / alpha in the order of `pairs`; alpha >= norm of W."""
        left, singular, right = np.linalg.svd(matrix / alpha, full_matrices=False)
        first, signs_first = _eliminate(right, self._steps(self.num_inputs))
        last, signs_last = _eliminate(left.T, self._steps(self.num_outputs))
        kept = np.clip(signs_last * singular * signs_first, -1, 1)
        return np.concatenate([first, np.arccos(kept), -last[::-1]])

    def _steps(self, length: int) -> list[Pair]:
        """Return the pairs (row, mode) of the elimination of r rows of this length."""
        return [(i, c) for i in range(self.rank) for c in range(length - 2, i - 1, -1)]


def _eliminate(
    rows: Float64[np.ndarray, "r length"], steps: list[Pair]
) -> tuple[Float64[np.ndarray, " rotations"], Float64[np.ndarray, " r"]]:
    """Return the angles that reduce orthonormal rows to a diagonal of signs, and the signs."""
    matrix = rows.copy()
    angles = np.empty(len(steps))
    for place, (i, c) in enumerate(steps):
        t = angles[place] = np.arctan2(matrix[i, c + 1], matrix[i, c])
        above, below = matrix[:, c].copy(), matrix[:, c + 1].copy()
        matrix[:, c] = np.cos(t) * above + np.sin(t) * below
        matrix[:, c + 1] = np.cos(t) * below - np.sin(t) * above
    return angles, np.where(np.diag(matrix) < 0, -1.0, 1.0)
