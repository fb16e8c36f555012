from __future__ import annotations

import math

import pytest

from hybridopt.compare.results import Trial
from hybridopt.compare.tuning import Tuning, best
from hybridopt.errors import ArgumentError, ArgumentTypeError


def climb(judge, trials):
    """The factors that are tried where ``judge`` gives the validation metric of a factor."""
    done = []
    tuning = Tuning(trials, step=10.0)
    for _ in range(trials):
        factor = tuning.next_factor(done)
        metric = judge(factor)
        done.append(Trial(factor, metric, None if metric is None else 0.0))
    return [round(trial.factor, 6) for trial in done]


def test_it_climbs_as_long_as_it_rises():
    assert climb(lambda f: f, 4) == [1, 10, 100, 1000]


def test_it_goes_down_from_what_does_not_train():
    assert climb(lambda f: None if f > 0.01 else 0.5, 4) == [1, 0.1, 0.01, 0.001]


def test_it_refines_between_neighbours():
    found = climb(lambda f: -abs(math.log10(f) - 0.3), 5)
    assert found == [1, 10, 0.1, round(math.sqrt(10), 6), round(10**0.25, 6)]


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
        (lambda: Tuning.parse(-1), ArgumentError, "`tuning` must be 0 or more"),
        (lambda: Tuning.parse(True), ArgumentTypeError, "`tuning` must be an int"),
        (lambda: Tuning.parse(False), ArgumentTypeError, "`tuning` must be an int"),
        (lambda: Tuning.parse("5"), ArgumentTypeError, "`tuning` must be an int"),
        (lambda: Tuning(0), ArgumentError, "`trials` must be 1 or more"),
        (
            lambda: Tuning(3, validation_fraction=1.0),
            ArgumentError,
            "`validation_fraction` must be less than 1",
        ),
        (
            lambda: Tuning(3, validation_fraction=0),
            ArgumentError,
            "`validation_fraction` must be more than 0",
        ),
        (lambda: Tuning(3, step=1.0), ArgumentError, "`step` must be more than 1"),
    ],
)
def test_what_is_no_tuning(make, error, message):
    with pytest.raises(error, match=message):
        make()
