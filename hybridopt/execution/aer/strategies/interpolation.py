r"""States at many values of one angle from states at a few values.

A rotation is :math:`V e^{-i \theta D} V^\dagger`. If D has k different eigenvalues :math:`\lambda`,

.. math::
    e^{-i \theta D} = \sum_{m=0}^{k-1} c_m(\theta) \, e^{-i \theta_m D} , \quad
    \sum_m c_m(\theta) \, e^{-i \theta_m \lambda} = e^{-i \theta \lambda} .

All later gates are linear, so the final state at any angle is the same sum of k final states. For a
Pauli rotation, :math:`\psi(\theta) = \cos(\theta/2) \psi(0) + \sin(\theta/2) \psi(\pi)`. Both
states of the two-term rule, :math:`(\psi(0) \pm \psi(\pi)) / \sqrt2`, need one run if
:math:`\psi(0)` is known, and those of the four-term rule need two. With equally spaced eigenvalues,
the points are equally spaced over one period, and the sum is a discrete Fourier transform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex128, Float64, Int

from hybridopt.circuits.gates import Family
from hybridopt.circuits.program import CircuitProgram, SharedRow
from hybridopt.execution.job import Shared

ROUNDING = 1e-15  # of the imaginary parts of real weights
States = Complex128[np.ndarray, "_ dim"]
Indices = Int[np.ndarray, " _"]


class Points:
    """Values of an angle, relative to the common one, whose states give those at all values."""

    def __init__(self, family: Family) -> None:
        self._eigenvalues = np.unique(np.round(family.eigenvalues, 12))
        count = len(self._eigenvalues)
        period = 2 * math.pi / np.diff(self._eigenvalues).min()
        self.moves = period * np.arange(count) / count  # [rad]; the first is 0
        self._inverse = np.linalg.inv(np.exp(-1j * np.outer(self._eigenvalues, self.moves)))

    def weights(self, moves: Float64[np.ndarray, " m"]) -> Complex128[np.ndarray, "m k"]:
        """Return the weights of the states at all points, for an angle moved by ``moves`` [rad]."""
        return np.asarray(np.exp(-1j * np.outer(moves, self._eigenvalues)) @ self._inverse.T)


@lru_cache(maxsize=256)
def points_of(family: Family) -> Points:
    """Return the points of a family of rotations."""
    return Points(family)


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Rows of a table whose states are sums of the states of a common row and of fewer runs."""

    members: Indices  # rows of the table, sorted by their sources
    weights: Complex128[np.ndarray, "m k"]  # of the common row, and of the sources
    sources: Int[np.ndarray, "m _"]  # rows of ``runs``; repeated with weight 0 if fewer suffice
    runs: Float64[np.ndarray, "r O"]  # rows to run instead of the members

    @classmethod
    def of(cls, program: CircuitProgram, shared: Shared, common: SharedRow) -> Interpolation:
        """Return the rows that differ from the common row in one angle, if that saves runs."""
        moved = shared != common
        moved &= np.count_nonzero(moved, axis=1, keepdims=True) == 1
        members, angle = np.nonzero(moved)
        if not len(members):
            return cls(members, np.zeros((0, 2), complex), np.zeros((0, 1), int), common[None][:0])
        order = np.argsort(angle, kind="stable")
        members, angle = members[order], angle[order]
        kinds, kind = program.derived("points of shared angles", lambda: _kinds(program))
        needed = np.array([len(points.moves) - 1 for points in kinds], dtype=np.int64)[kind]
        saves = np.bincount(angle, minlength=len(kind)) > needed
        members, angle = members[saves[angle]], angle[saves[angle]]
        ends = np.cumsum(np.where(saves, needed, 0))  # of the runs of each angle
        width = int(needed[saves].max(initial=1))
        weights = np.zeros((len(members), 1 + width), dtype=np.complex128)
        sources = np.repeat((ends - needed)[angle, None], width, axis=1)
        runs = np.tile(common, (int(ends[-1]), 1))
        for number in np.unique(kind[angle]):
            points, own = kinds[number], kind[angle] == number
            count = len(points.moves) - 1
            moves = shared[members[own], angle[own]] - common[angle[own]]
            weights[own, : 1 + count] = points.weights(moves)
            sources[own, :count] += np.arange(count)
            angles = np.flatnonzero(saves & (kind == number))
            places = (ends - needed)[angles, None] + np.arange(count)
            runs[places, angles[:, None]] += points.moves[1:]
        return cls(members, weights, sources, runs)

    def and_rows(self, others: Indices, shared: Shared) -> Interpolation:
        """Return the interpolation with more rows of the table, each from a run of its own."""
        count, width = len(others), self.sources.shape[1]
        weights = np.zeros((count, 1 + width), dtype=np.complex128)
        weights[:, 1] = 1
        sources = np.repeat(len(self.runs) + np.arange(count)[:, None], width, axis=1)
        return Interpolation(
            np.concatenate([self.members, others]),
            np.concatenate([self.weights, weights]),
            np.concatenate([self.sources, sources]),
            np.concatenate([self.runs, shared[others]]),
        )

    def explain(self) -> str:
        """Return the sums in words; nothing if there are none."""
        rows, runs = len(self.members), len(self.runs)
        if not rows:
            return ""
        return (
            f"; {rows} rows that differ in one angle are not run: numpy adds the final state of "
            f"the common row and of {runs} {'row' if runs == 1 else 'rows'} at other angles, which "
            "are run"
        )

    def parts(self, some: Indices, size: int) -> Iterator[Indices]:
        """Yield some members, sorted by their sources, in parts of about ``size`` sources."""
        if not len(some):
            return
        first = self.sources[some, 0]
        line = np.cumsum(np.diff(first, prepend=first[:1]) != 0)  # one per angle
        part = line // max(1, size // self.sources.shape[1])
        yield from np.split(some, np.flatnonzero(np.diff(part)) + 1)

    def states(self, some: Indices, common: States, ran: States, which: Indices) -> States:
        """Return the states of some members, from those of the sorted runs ``which``."""
        weights = self.weights[some]
        is_real = np.abs(weights.imag).max(initial=0) < ROUNDING
        if is_real:  # half of the arithmetic
            weights, common, ran = weights.real, common.view(np.float64), ran.view(np.float64)
        total = weights[:, :1] * common
        places = np.searchsorted(which, self.sources[some])
        for weight, place in zip(weights.T[1:], places.T, strict=True):
            total += weight[:, None] * ran[place]
        return np.asarray(total.view(np.complex128))


def layers_of_angles(program: CircuitProgram) -> Int[np.ndarray, " O"]:
    """Return the layer of each shared angle."""

    def build() -> Int[np.ndarray, " O"]:
        result = np.zeros(program.num_shared_angles, dtype=np.int64)
        for place, layer in enumerate(program.layers):
            for rotation in layer.rotations:
                if not rotation.per_sample:
                    result[rotation.angle] = place
        return result

    return program.derived("layers of shared angles", build)


def _kinds(program: CircuitProgram) -> tuple[list[Points], Int[np.ndarray, " O"]]:
    """Return the kinds of points of all shared angles, and the kind of each angle."""
    points = {r.angle: points_of(r.family) for r in program.rotations if not r.per_sample}
    kinds = list(dict.fromkeys(points.values()))
    places = [kinds.index(points[angle]) for angle in range(program.num_shared_angles)]
    return kinds, np.array(places, dtype=np.int64)
