"""Walsh transform compared with scipy's matrix, Gray code, and choice of columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from hybridopt.bridges.memory.walsh import gray_code, walsh_columns, walsh_hadamard
from hybridopt.errors import ArgumentError

EPS = np.finfo(np.float64).eps


@pytest.mark.parametrize("size", [1, 2, 4, 8, 32, 256])
def test_transform_is_the_hadamard_matrix(size):
    values = np.random.default_rng(size).normal(size=size)
    rounding = 2 * size * EPS * np.abs(values).sum()
    np.testing.assert_allclose(
        walsh_hadamard(values), hadamard(size) @ values, rtol=0, atol=rounding
    )


def test_entries_are_signs_of_common_bits():
    for k in range(8):
        unit = np.zeros(8)
        unit[k] = 1.0
        signs = [(-1.0) ** (k & row).bit_count() for row in range(8)]
        np.testing.assert_array_equal(walsh_hadamard(unit), signs)


def test_twice_the_transform_is_a_multiple_of_the_identity():
    values = np.random.default_rng(1).normal(size=64)
    twice = walsh_hadamard(walsh_hadamard(values))
    np.testing.assert_allclose(twice / 64, values, rtol=0, atol=64 * EPS * np.abs(values).sum())


def test_transform_does_not_change_its_input():
    values = np.arange(8.0)
    walsh_hadamard(values)
    np.testing.assert_array_equal(values, np.arange(8.0))


@pytest.mark.parametrize("num_bits", [1, 2, 3, 6])
def test_gray_code_changes_one_bit_per_step(num_bits):
    size = 1 << num_bits
    codes = [gray_code(i) for i in range(size)]
    assert sorted(codes) == list(range(size))
    for index, code in enumerate(codes):
        assert (code ^ codes[(index + 1) % size]).bit_count() == 1


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
