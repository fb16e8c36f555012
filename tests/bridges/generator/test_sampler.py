"""The sampler draws what the executor draws, and runs nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import hybridopt as ho
from hybridopt.bridges.generator import sampler
from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.generator.statevector import LadderSampler
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError
from hybridopt.execution import Executor, Job, Probabilities


def job(rows: int) -> Job:
    circuit = ry_ladder(3, 7)
    program = lower(circuit, (), tuple(circuit.parameters))
    shared = np.random.default_rng(1).uniform(-3, 3, (rows, 7))
    return Job(program, Probabilities(), np.zeros((1, 0)), shared)


@pytest.mark.parametrize("shots", [None, 1000])
def test_numbers_are_those_of_the_executor(shots, aer_calls):
    executor, sampler = ho.AerExecutor(shots=shots, seed=4), LadderSampler(shots, seed=4)
    assert isinstance(sampler, Executor)
    for _ in range(2):  # the second call draws anew, from the same stream
        actual = sampler.run(job(5))
        before = len(aer_calls)
        expected = executor.run(job(5))
        assert len(aer_calls) == before + 1
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)
    assert sampler.usage == ho.Cost()
    assert sampler.state_dict()["calls"] == executor.state_dict()["calls"]


def test_pieces_change_no_number(monkeypatch):
    whole = LadderSampler(50, seed=1).run(job(6))
    monkeypatch.setattr(sampler, "BYTES_AT_ONCE", 1)
    assert np.array_equal(LadderSampler(50, seed=1).run(job(6)), whole)


def test_position_in_the_stream_can_be_kept():
    sampler = LadderSampler(50, seed=None)
    position = sampler.state_dict()
    first = sampler.run(job(2))
    assert not np.array_equal(sampler.run(job(2)), first)
    other = LadderSampler(50, seed=9)
    other.load_state_dict(position)
    assert np.array_equal(other.run(job(2)), first)
    assert copy.deepcopy(sampler) is sampler
    assert "no circuit is run" in sampler.explain(job(2))


def test_shots_are_counted_from_one():
    with pytest.raises(ArgumentError, match="`shots` must be 1 or more"):
        LadderSampler(0)
