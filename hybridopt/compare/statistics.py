r"""Means over seeds, and confidence intervals of paired differences.

Methods share split, starting weights and order of samples for each seed, so differences are paired
by seed. For ``n`` differences with mean :math:`\bar d` and standard deviation :math:`s`, the
confidence interval is Student's with Bonferroni's correction for ``m`` comparisons,

.. math::
    \bar d \pm t_{n-1}(1 - \tfrac{\alpha}{2m}) \, s / \sqrt n.

All ``m`` intervals together contain their true means with probability at least :math:`1 - \alpha`.
The p values are corrected by Holm's method, which is at least as powerful.

The true means are over new splits, weights and orders of the same data. The splits overlap, so the
intervals do not cover new data.

References:
    Student, Biometrika 6, 1 (1908); Holm, Scand. J. Stat. 6, 65 (1979); on overlapping splits
    Nadeau and Bengio, Machine Learning 52, 239 (2003).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

BAND_POINTS = 60  # points of a band if the curves have different abscissas
NEGLIGIBLE = 1e-12  # spread of differences that are equal but for rounding


@dataclass(frozen=True)
class Interval:
    """Mean of ``count`` values, its confidence interval, and the uncorrected p value of mean 0."""

    mean: float
    low: float
    high: float
    count: int
    p_value: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside of the interval."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def percent(share: float) -> str:
    """Return a fraction in percent, such as 99.5%."""
    return f"{100 * share:g}%"


def mean_and_deviation(values: Sequence[float | None]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (``n - 1``), which is None for a single value."""
    if not values:
        return math.nan, None
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def interval(
    values: Sequence[float], *, confidence: float, comparisons: int = 1, resolution: float = 0.0
) -> Interval | None:
    """Return Student's confidence interval of the mean; None for one value.

    ``resolution`` is the smallest change of a value, such as ``1 / num_test`` for an accuracy. If
    all values are equal, their deviation is ``resolution / sqrt(6)``, as for the difference of two
    rounded numbers.

    Example:
        >>> found = interval([0.02, 0.04, 0.03], confidence=0.95)
        >>> round(found.low, 4), round(found.high, 4)
        (0.0052, 0.0548)
    """
    from scipy import stats

    count = len(values)
    mean, deviation = mean_and_deviation(values)
    if deviation is None:
        return None
    if deviation < NEGLIGIBLE:
        deviation = resolution / math.sqrt(6)
    error = deviation / math.sqrt(count)
    quantile = float(stats.t.ppf(1 - (1 - confidence) / (2 * comparisons), count - 1))
    if error == 0:
        p_value = 1.0 if abs(mean) < NEGLIGIBLE else 0.0
    else:
        p_value = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    return Interval(mean, mean - quantile * error, mean + quantile * error, count, p_value)


def paired_ratio(
    one: Mapping[int, float], other: Mapping[int, float], confidence: float, comparisons: int
) -> Interval | None:
    """Return the interval of ``log(one / other)`` over the keys where both are positive."""
    logs = [math.log(one[key] / other[key]) for key in one if min(one[key], other.get(key, 0)) > 0]
    return interval(logs, confidence=confidence, comparisons=comparisons)


def band(
    curves: Sequence[Float64[np.ndarray, "2 _"]],
) -> tuple[Float64[np.ndarray, " points"], ...]:
    """Return abscissas, and mean, minimum and maximum of curves ``(abscissas, values)`` there."""
    places, values = curves[0]
    if not all(np.array_equal(x, places) for x, _ in curves):
        low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
        if low >= high:  # no overlap: the first curve alone
            return places, values, values, values
        places = np.geomspace(low, high, BAND_POINTS)
    lines = np.stack([np.interp(places, x, y) for x, y in curves])
    return places, lines.mean(0), lines.min(0), lines.max(0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values with Holm's correction, in the given order.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    steps = np.minimum(1.0, (len(values) - np.arange(len(values))) * values[order])
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(steps)
    return corrected.tolist()  # type: ignore[no-any-return]
