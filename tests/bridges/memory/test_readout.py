"""Readout from the circuit and from the closed form: numbers, distribution and costs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.bridges.memory.readout import CircuitReader, ClosedFormSampler
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Cost
from hybridopt.gradients import ParameterShift
from tests.bridges.memories import check_moments

THETA = np.random.default_rng(11).uniform(-np.pi, np.pi, 6)


def circuit_reader(synthesis="multiplexer", **options) -> CircuitReader:
    return CircuitReader(MemoryProgram(3, synthesis), AerExecutor(**options), ParameterShift())


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("synthesis", ["gates", "multiplexer"])
def test_circuit_reads_the_closed_form(synthesis, order, aer_calls):
    numbers = circuit_reader(synthesis).read(THETA, order)
    np.testing.assert_allclose(numbers, np.cos(THETA - order * np.pi / 2), rtol=0, atol=1e-10)
    assert aer_calls == [1]


@pytest.mark.parametrize("order", range(5))
def test_sampler_without_shots_is_the_closed_form(order, aer_calls):
    numbers = ClosedFormSampler().read(THETA, order)
    np.testing.assert_allclose(numbers, np.cos(THETA - order * np.pi / 2), rtol=0, atol=1e-15)
    assert aer_calls == []


def test_sampler_has_exact_zeros():
    right_angles = np.full(4, np.pi / 2)
    np.testing.assert_array_equal(ClosedFormSampler().read(right_angles, 0), np.zeros(4))


def test_unused_places_hold_a_right_angle():
    padded = circuit_reader().padded(THETA)
    np.testing.assert_array_equal(padded, [*THETA, np.pi / 2, np.pi / 2])


def make_reader(kind: str, shots: int, seed: int):
    if kind == "circuit":
        return circuit_reader(shots=shots, seed=seed)
    return ClosedFormSampler(shots, seed)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", ["circuit", "sampler"])
def test_shots_follow_the_stated_mean_and_variance(kind, order):
    shots, repetitions = 10, 600
    reader = make_reader(kind, shots, seed=3)
    samples = np.array([reader.read(THETA, order) for _ in range(repetitions)])
    check_moments(samples, np.cos(THETA - order * np.pi / 2), shots)


def test_circuit_reader_takes_one_setting_per_read():
    reader = circuit_reader(shots=10, seed=1)
    for order in range(3):
        reader.read(THETA, order)
    assert reader.executor.usage == Cost(settings=3, shots=30, runs=3)


def test_sampler_runs_nothing(aer_calls):
    sampler = ClosedFormSampler(shots=10, seed=1)
    sampler.read(THETA, 0)
    assert sampler.usage == Cost()
    assert aer_calls == []


def test_seed_determines_the_noise_of_every_call():
    first, second, other = (ClosedFormSampler(1000, seed) for seed in (1, 1, 2))
    numbers = first.read(THETA, 0)
    np.testing.assert_array_equal(numbers, second.read(THETA, 0))
    assert not np.array_equal(numbers, first.read(THETA, 0))
    assert not np.array_equal(numbers, other.read(THETA, 0))
    fresh = (ClosedFormSampler(1000).read(THETA, 0) for _ in range(2))
    assert not np.array_equal(*fresh)


def test_state_dict_resumes_the_random_stream():
    sampler = ClosedFormSampler(1000)
    sampler.read(THETA, 0)
    state = json.loads(json.dumps(sampler.state_dict()))
    expected = sampler.read(THETA, 0)
    resumed = ClosedFormSampler(1000, seed=5)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(resumed.read(THETA, 0), expected)


@pytest.mark.parametrize(
    ("shots", "seed", "name"), [(0, 1, "shots"), (-2, 1, "shots"), (1, -1, "seed")]
)
def test_unusable_arguments(shots, seed, name):
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        ClosedFormSampler(shots, seed)
