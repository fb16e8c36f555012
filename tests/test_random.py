"""Blocks with a seed draw fixed numbers and leave the global generators unchanged."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch

from hybridopt import _random
from hybridopt._random import give_way, global_state, isolated, lent, restore_global_state


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


@pytest.mark.parametrize("device", [None, torch.cuda, torch.backends.mps])
def test_only_devices_that_exist_are_seeded(device, monkeypatch):
    seeded = []
    seed = torch.manual_seed
    for one in (torch.cuda, torch.backends.mps, torch.xpu):
        monkeypatch.setattr(one, "is_available", lambda one=one: one is device)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", list)
    monkeypatch.setattr(torch, "manual_seed", lambda value: (seeded.append(value), seed(value)))
    drawn = draw_in_block(3)
    assert len(seeded) == (device is not None)
    monkeypatch.undo()
    assert draw_in_block(3) == drawn


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


def in_threads(*calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("gives_way", [True, False])
def test_blocks_of_threads_exclude_each_other_until_they_give_way(gives_way, monkeypatch):
    monkeypatch.setattr(_random, "SLICE", 0.0)
    inside = []

    def work(seed):
        numbers = []
        with isolated(seed):
            for _ in range(20):
                numbers.append(draw())
                inside.append(seed)
                time.sleep(0.001)  # the other threads start to wait
                if gives_way:
                    give_way()
        return numbers

    alone = [work(seed) for seed in range(3)]
    inside.clear()
    assert in_threads(*(lambda s=seed: work(s) for seed in range(3))) == alone
    changes = sum(a != b for a, b in pairwise(inside))
    assert changes > 10 if gives_way else changes == 2


def test_ctrl_c_in_a_wait_ends_only_this_thread(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    state, turns = global_state(), _random._turns
    expected = draw()
    restore_global_state(state)
    with ThreadPoolExecutor(1) as pool, isolated(1):
        monkeypatch.setattr(turns._changed, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.submit(draw_in_block, 2).result(60)
        monkeypatch.undo()
        again = pool.submit(draw_in_block, 2)
        give_way()
        inner = draw()
    assert inner == draw_in_block(1)
    assert again.result(60) == draw_in_block(2)
    assert draw() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent():
    started, go_on = threading.Event(), threading.Event()

    def hold():
        with isolated(1):
            started.set()
            go_on.wait(60)

    expected = draw_in_block(2)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        started.wait(60)
        process = os.fork()
        if not process:
            os._exit(draw_in_block(2) != expected)
        go_on.set()
        held.result(60)
    assert os.waitpid(process, 0)[1] == 0


def test_a_turn_is_lent_only_in_a_long_callback(monkeypatch):
    monkeypatch.setattr(_random, "PATIENCE", 0.01)
    with ThreadPoolExecutor(1) as pool, isolated(1):
        other = pool.submit(draw_in_block, 2)
        with pytest.raises(TimeoutError):
            other.result(0.1)
        with lent():
            assert other.result(60) == draw_in_block(2)
        inner = draw()
    assert inner == draw_in_block(1)
