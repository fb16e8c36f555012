"""Vectors along moves, kept or computed again, and derivatives on the way back."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.execution.aer.density_adjoint.pauli_vectors import Place
from hybridopt.execution.aer.density_adjoint.trail import Move, Trail

COUNT, WANTED = 9, (1, 2, 5, 8)


def moves(*, transposed: bool) -> list[Move]:
    generator = np.random.default_rng(0)
    order = reversed(range(COUNT)) if transposed else range(COUNT)
    matrices = generator.normal(size=(COUNT, 16, 16)) / 4
    places = [Place.of((k % 2, k % 2 + 1), 3) for k in range(COUNT)]
    return [Move(k, matrices[k], places[k], transposed) for k in order]


@pytest.mark.parametrize("transposed", [False, True])
def test_strides_do_not_change_derivatives(transposed):
    start, back = np.random.default_rng(1).normal(size=(2, 2, 64))
    found = []
    for stride in (1, 2, 4):
        slopes = {}
        trail = Trail(start, moves(transposed=transposed), WANTED, stride)
        ends = trail.end, trail.back(back, slopes, whole=True)
        assert set(slopes) == set(WANTED)
        found.append([*ends, *(slopes[number] for number in WANTED)])
        alone = {}
        trail.back(back, alone, whole=False)
        assert all(np.array_equal(alone[number], slopes[number]) for number in WANTED)
    for other in found[1:]:
        assert all(map(np.array_equal, found[0], other))
    # the product is linear in each matrix: the derivative times the matrix is the whole product
    value = (back * found[0][0]).sum()
    for number, slope in zip(WANTED, found[0][2:], strict=True):
        (move,) = (one for one in moves(transposed=transposed) if one.number == number)
        assert (slope * move.matrices).sum() == pytest.approx(value, rel=1e-11)
