"""Every executor can do what the contract says."""

from __future__ import annotations

import inspect

import pytest

from hybridopt.execution import AerExecutor, Cost, Executor

EXECUTORS = [pytest.param(AerExecutor, id="aer")]
ATTRIBUTES = ("has_noise", "shots", "usage")
METHODS = ("check", "explain", "load_state_dict", "place", "run", "state_dict")


def test_the_contract_names_what_we_use():
    assert {n for n in dir(Executor) if not n.startswith("_")} == {*METHODS, *ATTRIBUTES}


@pytest.mark.parametrize("make", EXECUTORS)
def test_methods_take_what_the_contract_says(make):
    for name in METHODS:
        promised = list(inspect.signature(getattr(Executor, name)).parameters)
        assert list(inspect.signature(getattr(make, name)).parameters) == promised


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_new_executor_is_exact_and_unused(make):
    executor = make()
    assert executor.shots is None
    assert executor.usage == Cost()
