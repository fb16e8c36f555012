from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hybridopt.compare.statistics import band, holm, interval, mean_and_deviation, percent

ONE = np.array([0.91, 0.88, 0.95, 0.90, 0.93])
OTHER = np.array([0.90, 0.84, 0.91, 0.91, 0.88])


@pytest.mark.parametrize("comparisons", [1, 4])  # with Bonferroni's correction
def test_the_interval_of_the_paired_t_test(comparisons):
    test = stats.ttest_rel(ONE, OTHER)
    expected = test.confidence_interval(1 - 0.05 / comparisons)
    found = interval(list(ONE - OTHER), confidence=0.95, comparisons=comparisons)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-12)
    np.testing.assert_allclose(found.p_value, test.pvalue, rtol=1e-10)
    assert found.count == 5


def test_simultaneous_coverage():
    # three comparisons at 90 %: all hold in at least 90 % of 400 studies, less 3.3 standard errors
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = [
            interval(list(generator.normal(0.3, 1.0, 5)), confidence=0.9, comparisons=3)
            for _ in range(3)
        ]
        held += all(one.low <= 0.3 <= one.high for one in found)
    assert held / 400 >= 0.9 - 3.3 * math.sqrt(0.9 * 0.1 / 400)


def test_equal_differences_of_a_metric_with_steps():
    found = interval([0.1, 0.1, 0.1], confidence=0.95, resolution=1 / 30)
    half = stats.t.ppf(0.975, 2) * (1 / 30) / math.sqrt(6) / math.sqrt(3)
    np.testing.assert_allclose([found.low, found.high], [0.1 - half, 0.1 + half], rtol=1e-10)
    same = interval([0.0, 0.0], confidence=0.95)
    assert (same.low, same.high, same.p_value, same.excludes_zero) == (0.0, 0.0, 1.0, False)
    certain = interval([0.5, 0.5], confidence=0.95)
    assert (certain.p_value, certain.excludes_zero) == (0.0, True)


def test_too_few_values():
    assert interval([0.3], confidence=0.95) is None
    assert mean_and_deviation([0.3]) == (0.3, None)
    mean, deviation = mean_and_deviation([])
    assert math.isnan(mean)
    assert deviation is None
    np.testing.assert_allclose(mean_and_deviation(list(ONE)), (ONE.mean(), ONE.std(ddof=1)))


def test_holm_by_its_definition():
    values = [0.011, 0.02, 0.9, 0.04, 0.012]
    order = np.argsort(values)
    expected, largest = {}, 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (5 - rank) * values[position]))
        expected[int(position)] = largest
    assert holm(values) == [expected[k] for k in range(5)]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.9, "90%"), (0.999, "99.9%"), (0.57, "57%")],
)
def test_percent(share, text):
    assert percent(share) == text


def test_a_band_is_limited_to_the_shared_range():
    first = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    second = np.array([[2.0, 8.0], [4.0, 16.0]])  # on twice the first line
    places, mean, low, high = band([first, second])
    assert (places[0], places[-1]) == (2.0, pytest.approx(4.0))
    np.testing.assert_allclose([mean, low, high], np.outer([1.5, 1, 2], places), rtol=1e-12)
    same = band([first, np.array([first[0], 3 * first[1]])])
    np.testing.assert_array_equal(same, [first[0], 2 * first[1], first[1], 3 * first[1]])
    apart = band([first, np.array([[9.0, 10.0], [0.0, 0.0]])])
    np.testing.assert_array_equal(apart, [first[0], *3 * [first[1]]])
