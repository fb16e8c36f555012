"""What every executor, and every sampler that stands in for one, does with its seed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from hybridopt import AerExecutor
from hybridopt.bridges.generator.statevector import LadderSampler
from hybridopt.bridges.memory.readout import ClosedFormSampler
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution.random_stream import RandomStream

KINDS = (AerExecutor, ClosedFormSampler, LadderSampler, ClosedFormMesh)
every_kind = pytest.mark.parametrize("kind", KINDS)


def test_each_call_has_the_numbers_of_its_place():
    """As numpy spawns them."""
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
def test_copies_share_the_stream_and_no_seed_is_fresh_entropy(kind):
    executor = kind(shots=5)
    assert copy.deepcopy(executor) is executor
    assert executor.state_dict() != kind(shots=5).state_dict()
    assert kind(shots=5, seed=0).state_dict() == {"entropy": "0x0", "calls": 0}


@every_kind
def test_negative_seeds_are_refused_by_name(kind):
    with pytest.raises(ArgumentError, match="`seed` must be 0 or more"):
        kind(shots=5, seed=-1)
    with pytest.raises(ArgumentTypeError, match="`seed` must be an int"):
        RandomStream(1.5)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, ArgumentError, "has no key `entropy`"),
        ({"entropy": "0x1"}, ArgumentError, "has no key `calls`"),
        (None, ArgumentTypeError, "must be the dict .* type NoneType"),
        ({"entropy": 1, "calls": 1}, ArgumentTypeError, "`entropy` .* must be a str"),
        ({"entropy": "spam", "calls": 1}, ArgumentError, "`entropy` .* is 'spam'"),
        ({"entropy": "-0x1", "calls": 1}, ArgumentError, "`entropy` .* is '-0x1'"),
        ({"entropy": "0x1", "calls": "1"}, ArgumentTypeError, "`calls` must be an int"),
        ({"entropy": "0x1", "calls": -1}, ArgumentError, "`calls` must be 0 or more"),
    ],
)
@every_kind
def test_states_of_nothing_are_refused_and_change_nothing(kind, state, error, message):
    executor = kind(shots=5, seed=3)
    before = executor.state_dict()
    with pytest.raises(error, match=message):
        executor.load_state_dict(state)
    assert executor.state_dict() == before
