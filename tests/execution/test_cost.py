"""Costs add and subtract count by count."""

from __future__ import annotations

import dataclasses

import pytest

from hybridopt.execution import Cost


def test_sum_and_difference_go_count_by_count():
    first, second = Cost(settings=5, shots=70, runs=3), Cost(settings=2, shots=9, runs=1)
    assert first + second == Cost(7, 79, 4)
    assert first - second == Cost(3, 61, 2)
    assert first + second - second == first
    assert first + Cost() == first


def test_costs_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cost().settings = 1
