from __future__ import annotations

import pytest

from hybridopt.compare.budget import Budget
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, Budget(epochs=7)),
        ("10 epochs", Budget(epochs=10)),
        ("1 epoch", Budget(epochs=1)),
        ("2.5 s", Budget(seconds=2.5)),
        ("1e6 shots", Budget(shots=1_000_000)),
        ("3 epochs, 1_000 settings", Budget(epochs=3, settings=1000)),
        ({"seconds": 3}, Budget(seconds=3)),
        (Budget(shots=5), Budget(shots=5)),
    ],
)
def test_spellings(value, expected):
    assert Budget.parse(value) == expected


def test_in_words_and_back():
    budget = Budget(epochs=3, seconds=0.5, settings=12_345, shots=1_000_000)
    assert str(budget) == "3 epochs, 0.5 seconds, 12,345 settings, 1,000,000 shots"
    assert Budget.parse(str(budget)) == budget
    assert Budget.parse("10 epochs,100 shots") == Budget(epochs=10, shots=100)
    assert str(Budget(epochs=1)) == "1 epoch"


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (18, [3, 5, 10], [3, 5, 10]),
        (9, [3, 5, 10], [2, 2, 5]),  # exact 1.5, 2.5, 5: the first of equal remainders
        (3, [1, 1, 100], [1, 1, 1]),
        (10, [1, 1, 1], [4, 3, 3]),
        (7, [2], [7]),
    ],
)
def test_parts_are_whole_and_sum_up(total, shares, parts):
    cut = Budget(epochs=total).parts(shares)
    assert sum(part.epochs for part in cut) == total
    assert [part.epochs for part in cut] == parts


def test_seconds_are_cut_in_proportion():
    cut = Budget(seconds=9.0, settings=10).parts([1, 2])
    assert [part.seconds for part in cut] == [3.0, 6.0]
    assert [part.settings for part in cut] == [3, 7]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("ten epochs", ArgumentError, "is not understood"),
        ("10", ArgumentError, "is not understood"),
        ("10 epochs, 5 epochs", ArgumentError, "gives epochs twice"),
        ("1.5 epochs", ArgumentError, "whole number of epochs"),
        ("1e400 shots", ArgumentError, "whole number of shots"),
        ("10 epohcs", UnknownNameError, "Did you mean 'epochs'"),
        ({"epoch": 3}, UnknownNameError, "Did you mean 'epochs'"),
        ({}, ArgumentError, "has no limit"),
        (0, ArgumentError, "`budget` must be 1 or more"),
        (True, ArgumentTypeError, "must be a number of epochs"),
        (2.5, ArgumentTypeError, "must be a number of epochs"),
        ({"seconds": 0}, ArgumentError, "`seconds` must be more than 0"),
        ({"shots": 1.5}, ArgumentTypeError, "`shots` must be an int"),
    ],
)
def test_what_is_no_budget(value, error, message):
    with pytest.raises(error, match=message):
        Budget.parse(value)


def test_less_than_one_for_each_stage():
    with pytest.raises(ArgumentError, match="2 epochs is less than one for each of the 3 stages"):
        Budget(epochs=2).parts([1, 1, 1])
