"""Random streams of executors and of samplers with closed forms."""

from __future__ import annotations

import copy
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hybridopt import AerExecutor
from hybridopt.bridges.generator.statevector import LadderSampler
from hybridopt.bridges.memory.readout import ClosedFormSampler
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import Stream
from hybridopt.execution.random_stream import RandomStream, Sampler

KINDS = (AerExecutor, ClosedFormSampler, LadderSampler, ClosedFormMesh)
every_kind = pytest.mark.parametrize("kind", KINDS)


def test_generators_are_spawned_as_in_numpy():
    position = RandomStream(7)
    state = position.state_dict()
    expected = [
        np.random.default_rng(np.random.SeedSequence(7, spawn_key=(call,))).random()
        for call in range(2)
    ]
    assert [position._next_generator().random() for _ in range(2)] == expected
    assert position.state_dict() == {"entropy": "0x7", "calls": 2}
    position.load_state_dict(state)
    assert position._next_generator().random() == expected[0]


@every_kind
def test_copies_share_the_stream_and_default_seeds_differ(kind):
    executor = kind(shots=5)
    assert copy.deepcopy(executor) is executor
    assert executor.state_dict() != kind(shots=5).state_dict()
    assert kind(shots=5, seed=0).state_dict() == {"entropy": "0x0", "calls": 0}


@pytest.mark.wrong_types
@every_kind
def test_negative_seeds_raise(kind):
    with pytest.raises(ArgumentError, match="`seed`"):
        kind(shots=5, seed=-1)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("state", "error", "named"),
    [
        ({}, ArgumentError, "`state` .*`entropy`"),
        ({"entropy": "0x1"}, ArgumentError, "`state` .*`calls`"),
        (None, ArgumentTypeError, "`state` .*NoneType"),
        ({"entropy": 1, "calls": 1}, ArgumentTypeError, "`entropy`"),
        ({"entropy": "spam", "calls": 1}, ArgumentError, "`entropy` .*'spam'"),
        ({"entropy": "-0x1", "calls": 1}, ArgumentError, "`entropy` .*'-0x1'"),
        ({"entropy": "0x1", "calls": "1"}, ArgumentTypeError, "`calls`"),
        ({"entropy": "0x1", "calls": -1}, ArgumentError, "`calls` .*-1"),
    ],
)
@every_kind
def test_wrong_states_raise_and_change_nothing(kind, state, error, named):
    executor = kind(shots=5, seed=3)
    before = executor.state_dict()
    with pytest.raises(error, match=named):
        executor.load_state_dict(state)
    assert executor.state_dict() == before


PROBABILITIES = np.array([0.5, 0.2, 0.0, 0.05, 0.25])


def one(sampler: Sampler, shots: int, s: int, b: int, g: int, of=PROBABILITIES) -> np.ndarray:
    cell = sampler.frequencies(of[None, None], shots, np.array([s]), np.array([b]), g)
    return cell[0, 0]


def frequencies(shots: int, *, entropy=1, call=0, first=(0, 0), place=(0, 0, 0), of=PROBABILITIES):
    return one(Sampler(entropy, Stream(call, *first)), shots, *place, of=of)


def draws(shots: int, repetitions: int) -> np.ndarray:
    table = np.tile(PROBABILITIES, (repetitions, 1, 1))
    rows = np.arange(repetitions), np.arange(1)
    return Sampler(1, Stream(0)).frequencies(table, shots, *rows, 0)[:, 0]


def test_mean_and_covariance_are_multinomial():
    shots, repetitions = 4, 10_000
    sample = draws(shots, repetitions)
    np.testing.assert_allclose(shots * sample, np.round(shots * sample), rtol=0, atol=1e-12)
    np.testing.assert_allclose(sample.sum(1), 1, rtol=0, atol=1e-12)
    covariance = (np.diag(PROBABILITIES) - np.outer(PROBABILITIES, PROBABILITIES)) / shots
    error = np.abs(sample.mean(0) - PROBABILITIES)
    assert np.all(error <= 5 * np.sqrt(np.diag(covariance) / repetitions))
    centred = sample - PROBABILITIES
    products = centred[:, :, None] * centred[:, None, :]
    spread = products.std(0) / np.sqrt(repetitions)
    assert np.all(np.abs(products.mean(0) - covariance) <= 5 * spread)


@pytest.mark.parametrize(
    "change",
    [{"entropy": 2}, {"call": 1}, {"place": (1, 0, 0)}, {"place": (0, 1, 0)}, {"place": (0, 0, 1)}],
)
def test_shots_depend_on_seed_call_and_position(change):
    first, again = (frequencies(10_000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, frequencies(10_000, **change))


def test_a_part_draws_the_shots_of_the_whole_job():
    whole = frequencies(999, place=(5, 7, 1))
    np.testing.assert_array_equal(frequencies(999, first=(3, 4), place=(2, 3, 1)), whole)


def test_a_table_is_drawn_cell_by_cell():
    sampler = Sampler(6, Stream(1))
    table = np.random.default_rng(0).dirichlet(np.ones(4), (3, 2))
    places = np.array([4, 0, 2]), np.array([1, 5])
    whole = sampler.frequencies(table, 50, *places, 1)
    for i, j in np.ndindex(3, 2):
        cell = one(sampler, 50, places[0][i], places[1][j], 1, of=table[i, j])
        np.testing.assert_array_equal(whole[i, j], cell)


def test_streams_of_settings_differ():
    sampler = Sampler(0, Stream(0))
    rows = [one(sampler, 10**6, s, b, g) for s, b, g in np.ndindex(4, 4, 4)]
    assert len(np.unique(rows, axis=0)) == 64


def test_seeds_of_settings_differ_and_repeat():
    seeds = [Sampler(0, Stream(1)).seed(s, b, g) for s, b, g in np.ndindex(5, 5, 2)]
    assert len(set(seeds)) == 50
    assert seeds[17] == Sampler(0, Stream(1)).seed(1, 3, 1)


def test_rounding_errors_of_probabilities_are_clipped():
    rounded = np.array([1 + 1e-12, -1e-17, 0.0])
    np.testing.assert_array_equal(frequencies(9, of=rounded), [1.0, 0.0, 0.0])


def test_threads_never_draw_the_same_call():
    stream, before = RandomStream(1), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            calls = list(pool.map(lambda _: stream._next_call(), range(2000)))
    finally:
        sys.setswitchinterval(before)
    assert sorted(calls) == list(range(2000))
