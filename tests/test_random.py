"""Blocks draw what their seed says, and the caller's generators do not notice."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from hybridopt._random import global_state, isolated, restore_global_state


def draw() -> tuple[float, ...]:
    numpy = np.random
    gauss = (torch.randn(()).item(), numpy.normal(), random.gauss(0, 1))
    return (*gauss, torch.rand(()).item(), numpy.uniform(), random.random())


def test_restored_state_draws_the_same_numbers():
    draw()  # leaves a cached second normal in numpy and in random
    state = global_state()
    first = draw()
    restore_global_state(state)
    assert draw() == first


def test_state_is_saved_by_torch_with_weights_only(tmp_path):
    state = global_state()
    torch.save(state, tmp_path / "state")
    first = draw()
    restore_global_state(torch.load(tmp_path / "state", weights_only=True))
    assert draw() == first


def test_same_seed_same_numbers():
    with isolated(3):
        first = draw()
    with isolated(3):
        again = draw()
    with isolated(4):
        other = draw()
    assert first == again
    assert not set(first) & set(other)


def test_without_a_seed_entropy_is_fresh():
    with isolated(None):
        first = draw()
    with isolated(None):
        assert not set(first) & set(draw())


@pytest.mark.parametrize("seed", [0, None])
def test_the_callers_state_is_left_as_it_was(seed):
    state = global_state()
    expected = draw()
    restore_global_state(state)
    with isolated(seed):
        draw()
    assert draw() == expected


def test_the_callers_state_comes_back_after_an_error():
    state = global_state()
    expected = draw()
    restore_global_state(state)
    with pytest.raises(ZeroDivisionError), isolated(1):
        _ = draw()[0] / 0
    assert draw() == expected


def test_blocks_can_stand_in_each_other():
    with isolated(1):
        expected = draw()
    with isolated(1):
        with isolated(2):
            draw()
        assert draw() == expected
