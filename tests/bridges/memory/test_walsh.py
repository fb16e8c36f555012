"""Choice of the Walsh columns of sparse memories."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.errors import ArgumentError


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5, 8, 13, 21, 32, 33, 47])
def test_columns_are_independent_on_the_first_rows(num_rows):
    size = max(2, 1 << (num_rows - 1).bit_length())
    for number in range(1, size + 1):
        columns = walsh_columns(number, num_rows)
        assert np.unique(columns).size == number
        np.testing.assert_array_equal(columns, np.sort(columns))
        rank = np.linalg.matrix_rank(hadamard(size)[:num_rows, columns])
        assert rank == min(number, num_rows)


@pytest.mark.parametrize("number", [1, 2, 100, 1023, 1024])
def test_common_move_is_left_out_if_possible(number):
    assert 0 not in walsh_columns(number, 1510)


def test_columns_tie_no_weights():
    """The first 64 columns would give weights 64 places apart equal moves."""
    rows = hadamard(2048)[:1510]
    assert len(np.unique(rows[:, :64], axis=0)) == 64
    assert len(np.unique(rows[:, walsh_columns(64, 1510)], axis=0)) == 1510


def test_columns_never_change():
    """Files store angles without their columns."""
    np.testing.assert_array_equal(walsh_columns(6, 30), [4, 6, 13, 17, 24, 25])


def test_number_of_columns_is_limited():
    with pytest.raises(ArgumentError, match=r"`num_angles`.* 33"):
        walsh_columns(33, 20)
