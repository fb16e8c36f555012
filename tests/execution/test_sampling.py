"""Frequencies follow the multinomial law and depend on seed and key alone."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.execution.sampling import frequencies

PROBABILITIES = np.array([0.5, 0.2, 0.0, 0.05, 0.25])


def draws(shots: int, repetitions: int) -> np.ndarray:
    return np.array(
        [frequencies(PROBABILITIES, shots, entropy=1, key=(i, 0, 0)) for i in range(repetitions)]
    )


def test_mean_and_covariance_are_multinomial():
    shots, repetitions = 4, 10_000
    sample = draws(shots, repetitions)
    covariance = (np.diag(PROBABILITIES) - np.outer(PROBABILITIES, PROBABILITIES)) / shots
    error = np.abs(sample.mean(0) - PROBABILITIES)
    assert np.all(error <= 5 * np.sqrt(np.diag(covariance) / repetitions))
    centred = sample - PROBABILITIES
    products = centred[:, :, None] * centred[:, None, :]
    spread = products.std(0) / np.sqrt(repetitions)
    assert np.all(np.abs(products.mean(0) - covariance) <= 5 * spread)


def test_frequencies_are_counts_over_shots():
    counts = 7 * draws(7, 50)
    np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=1e-12)
    np.testing.assert_allclose(counts.sum(1), 7, rtol=0, atol=1e-12)


@pytest.mark.parametrize("change", [{"entropy": 2}, {"key": (0, 0, 1)}, {"key": (1, 0, 0)}])
def test_numbers_depend_on_seed_and_key_alone(change):
    given = {"entropy": 1, "key": (0, 0, 0)}
    first, again = (frequencies(PROBABILITIES, 10_000, **given) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = frequencies(PROBABILITIES, 10_000, **{**given, **change})
    assert not np.array_equal(first, other)


def test_rounding_below_zero_and_above_one_is_forgiven():
    rounded = np.array([1 + 1e-12, -1e-17, 0.0])
    np.testing.assert_array_equal(frequencies(rounded, 9, entropy=0, key=(0,)), [1.0, 0.0, 0.0])
