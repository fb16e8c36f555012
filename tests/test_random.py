"""Blocks with a seed draw fixed numbers and leave the global generators unchanged."""

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


def draw_in_block(seed: int | None) -> tuple[float, ...]:
    with isolated(seed):
        return draw()


def test_restored_state_draws_the_same_numbers(tmp_path):
    draw()  # leaves a cached second normal in numpy and in random
    state = global_state()
    torch.save(state, tmp_path / "state")
    first = draw()
    for saved in (state, torch.load(tmp_path / "state", weights_only=True)):
        restore_global_state(saved)
        assert draw() == first


def test_seed_fixes_the_numbers():
    assert draw_in_block(3) == draw_in_block(3)
    assert not set(draw_in_block(3)) & set(draw_in_block(4))
    assert not set(draw_in_block(None)) & set(draw_in_block(None))


@pytest.mark.parametrize("seed", [0, None])
def test_global_state_is_restored_also_after_an_error(seed):
    state = global_state()
    expected = draw()
    restore_global_state(state)
    draw_in_block(seed)
    with pytest.raises(ZeroDivisionError), isolated(seed):
        _ = draw()[0] / 0
    assert draw() == expected


def test_blocks_can_be_nested():
    with isolated(1):
        draw_in_block(2)
        inner = draw()
    assert inner == draw_in_block(1)
