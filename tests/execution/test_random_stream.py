"""Random streams of executors and of samplers with closed forms."""

from __future__ import annotations

import copy
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

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


@pytest.mark.parametrize("shots", [1, 37, 10_000])
def test_shots_do_not_depend_on_rounding_errors(shots):
    generator = np.random.default_rng(shots)
    for seed in range(50):
        # equal and impossible outcomes: the draws of numpy change at these probabilities
        exact = generator.choice([0, 0, 1, 1, 2, 4], 7).astype(float)
        exact = np.append(exact, 1) / (exact.sum() + 1)
        errors = 1e-16 * np.abs(generator.standard_normal((2, 8))) * [[1], [-1]]
        draws = [frequencies(shots, entropy=seed, of=of) for of in (exact, *(exact + errors))]
        np.testing.assert_array_equal(draws[1:], draws[:1] * 2)
        assert not draws[0][exact == 0].any()


def test_threads_never_draw_the_same_call():
    stream, before = RandomStream(1), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            calls = list(pool.map(lambda _: stream._next_call(), range(2000)))
    finally:
        sys.setswitchinterval(before)
    assert sorted(calls) == list(range(2000))


class Draws(Dataset):
    """Numbers drawn from a stream, or from a pickled copy in each process, as after a spawn."""

    def __init__(self, stream: RandomStream, *, pickled: bool = False) -> None:
        self.stream = pickle.dumps(stream) if pickled else stream

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> float:
        if isinstance(self.stream, bytes):
            self.stream = pickle.loads(self.stream)
        return float(self.stream._next_generator().random())


def by_workers(data: Draws, epochs: int = 2) -> list[float]:
    """Return the numbers of two forked workers in each epoch."""
    torch.manual_seed(0)
    workers = {"num_workers": 2, "multiprocessing_context": "fork"}
    loader = DataLoader(data, batch_size=None, **workers)
    return [value for _ in range(epochs) for value in loader]


threads_at_fork = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@threads_at_fork
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("kind", [AerExecutor, LadderSampler])
def test_workers_of_a_loader_draw_different_numbers_that_repeat(kind, pickled):
    stream = kind(shots=5, seed=7)
    first = by_workers(Draws(stream, pickled=pickled))
    assert len(set(first)) == 8
    assert stream.state_dict() == {"entropy": "0x7", "calls": 0}
    own = RandomStream(7)
    assert not {own._next_generator().random() for _ in range(8)} & set(first)
    assert by_workers(Draws(kind(shots=5, seed=7), pickled=pickled)) == first
    assert by_workers(Draws(kind(shots=5, seed=8), pickled=pickled)) != first


class New(Dataset):
    """Streams that a worker makes itself."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> float:
        return float(RandomStream(index)._next_generator().random())


@threads_at_fork
def test_streams_made_by_a_worker_have_their_own_seed():
    assert by_workers(New(), epochs=1) == [New()[0], New()[1]]


def in_children(stream: RandomStream, generations: tuple[int, ...]) -> list[str]:
    """Return the entropy of a stream in every process of a tree of forks."""
    found = []
    for _ in range(generations[0]):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            below = in_children(stream, generations[1:]) if generations[1:] else []
            lines = [*below, stream.state_dict()["entropy"]]
            os.write(writing, "\n".join(lines).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            found += pipe.read().splitlines()
        os.waitpid(child, 0)
    return found


@threads_at_fork
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")
def test_forked_processes_draw_from_different_branches():
    stream = RandomStream(7)
    branches = in_children(stream, (3, 2))
    assert len({*branches, stream.state_dict()["entropy"]}) == 10


def test_a_pickled_stream_continues_at_the_same_position():
    stream = AerExecutor(shots=5, seed=7)
    stream._next_call()
    copied = pickle.loads(pickle.dumps(stream))
    assert copied.state_dict() == stream.state_dict()
    assert copied._next_generator().random() == stream._next_generator().random()
