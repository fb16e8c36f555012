from __future__ import annotations

import math

import pytest

from hybridopt.compare.results import Trial
from hybridopt.compare.tuning import Tuning, best
from hybridopt.errors import ArgumentError, ArgumentTypeError


def climb(judge, trials):
    """Return the factors of the trials; ``judge`` gives the validation metric of a factor."""
    done = []
    tuning = Tuning(trials, step=10.0)
    for _ in range(trials):
        factor = tuning.next_factor(done)
        metric = judge(factor)
        done.append(Trial(factor, metric, None if metric is None else 0.0))
    return [round(trial.factor, 6) for trial in done]


def ridge(factor):
    return -abs(math.log10(factor) - 0.3)


@pytest.mark.parametrize(
    ("judge", "factors"),
    [
        (lambda f: f, [1, 10, 100, 1000]),  # rising
        (lambda f: None if f > 0.01 else 0.5, [1, 0.1, 0.01, 0.001]),  # large rates fail
        (ridge, [1, 10, 0.1, round(math.sqrt(10), 6), round(10**0.25, 6)]),  # between neighbours
    ],
)
def test_the_search_climbs(judge, factors):
    assert climb(judge, len(factors)) == factors


def test_the_best_of_equals():
    trials = [Trial(1.0, 0.9, 0.5), Trial(3.0, 0.9, 0.4), Trial(0.3, 0.8, 0.1), Trial(9.0)]
    assert best(trials).factor == 3.0
    assert best([Trial(10.0, 0.9, 0.5), Trial(0.5, 0.9, 0.5)]).factor == 0.5
    assert best([Trial(1.0, error="diverged")]) is None


def test_spellings():
    assert Tuning.parse(None) == Tuning.parse(0) == Tuning.parse(1) == Tuning(trials=1)
    assert Tuning.parse(4) == Tuning(trials=4)
    assert Tuning.parse(Tuning(2, validation_fraction=0.3)) == Tuning(2, validation_fraction=0.3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Tuning.parse(-1), ArgumentError, "`tuning`"),
        (lambda: Tuning.parse(True), ArgumentTypeError, "`tuning`"),
        (lambda: Tuning.parse("5"), ArgumentTypeError, "`tuning`"),
        (lambda: Tuning(3, validation_fraction=1.0), ArgumentError, "`validation_fraction`"),
        (lambda: Tuning(3, step=1.0), ArgumentError, "`step`"),
    ],
)
def test_invalid_tunings(make, error, message):
    with pytest.raises(error, match=message):
        make()
