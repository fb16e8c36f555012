"""Vectors along the steps of a circuit, kept for a pass in the other direction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hybridopt.execution.aer.density_adjoint.pauli_vectors import (
    Matrices,
    Place,
    Vectors,
    apply,
    contract,
)


@dataclass(frozen=True, eq=False)
class Move:
    """Product with the transfer matrix of a step, or with its transpose."""

    number: int  # of the step
    matrices: Matrices
    place: Place
    transposed: bool = False  # an observable moves from the end of the circuit to its start

    def ahead(self, vectors: Vectors) -> Vectors:
        """Return the vectors after the move."""
        return apply(self._matrices(self.transposed), vectors, self.place)

    def back(self, vectors: Vectors) -> Vectors:
        """Return vectors of the other direction before the move."""
        return apply(self._matrices(not self.transposed), vectors, self.place)

    def slopes(self, after: Vectors, before: Vectors) -> Matrices:
        """Return the derivative of ``after @ M @ before`` with respect to the transfer matrix M."""
        if self.transposed:
            after, before = before, after
        return contract(after, before, self.place, per_vector=self.matrices.ndim == 3)

    def _matrices(self, transposed: bool) -> Matrices:
        return self.matrices.swapaxes(-1, -2) if transposed else self.matrices


class Trail:
    """Vectors along some moves, before those of ``wanted`` steps.

    Attributes:
        end: Vectors after the last move.
    """

    def __init__(
        self, start: Vectors, moves: Sequence[Move], wanted: Collection[int], stride: int
    ) -> None:
        self._moves = moves
        self._wanted = {place for place, move in enumerate(moves) if move.number in wanted}
        # with a stride, some vectors are kept, from which those between them are computed again
        marks = self._wanted if stride == 1 else range(0, len(moves), stride)
        self._kept = {0: start}
        self._block: dict[int, Vectors] = {}
        vectors = start
        for place, move in enumerate(moves):
            if place in marks:
                self._kept[place] = vectors
            vectors = move.ahead(vectors)
        self.end = vectors

    def back(self, vectors: Vectors, slopes: dict[int, Matrices], *, whole: bool) -> Vectors:
        """Take vectors back; add derivatives with respect to matrices of steps to ``slopes``.

        Returns:
            Vectors at the start, if ``whole``. Otherwise the pass ends at the last wanted step.
        """
        first = 0 if whole else min(self._wanted, default=len(self._moves))
        for place in reversed(range(first, len(self._moves))):
            move = self._moves[place]
            if place in self._wanted:
                slopes[move.number] = move.slopes(vectors, self._before(place))
            if whole or place > first:
                vectors = move.back(vectors)
        self._block = {}
        return vectors

    def _before(self, place: int) -> Vectors:
        """Return the vectors before a wanted step."""
        if place not in self._kept and place not in self._block:
            start = max(mark for mark in self._kept if mark < place)
            vectors, self._block = self._kept[start], {}
            for number in range(start, place):
                vectors = self._moves[number].ahead(vectors)
                if number + 1 in self._wanted:
                    self._block[number + 1] = vectors
        return self._kept[place] if place in self._kept else self._block[place]
