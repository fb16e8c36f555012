"""Dense simulation of the generator's circuit, compared with Qiskit, and samples with Aer."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector

import hybridopt as ho
from hybridopt.bridges.generator import statevector
from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.generator.statevector import LadderSampler, ladder_probabilities
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError
from hybridopt.execution import Job, Probabilities


def draw(rows: int, angles: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return math.pi * (2 * torch.rand(rows, angles, generator=generator, dtype=torch.float64) - 1)


# sizes on both sides of a group of four qubits, whole and partial layers
@pytest.mark.parametrize(
    ("num_qubits", "num_angles"), [(1, 1), (2, 5), (3, 7), (4, 8), (5, 12), (9, 20), (12, 5)]
)
def test_probabilities_are_those_of_the_circuit(num_qubits, num_angles):
    angles = draw(2, num_angles)
    actual = ladder_probabilities(angles, num_qubits)
    for row, probabilities in zip(angles, actual, strict=True):
        circuit = ry_ladder(num_qubits, num_angles).assign_parameters(row.numpy())
        expected = Statevector(circuit).probabilities()
        np.testing.assert_allclose(probabilities.numpy(), expected, rtol=0, atol=1e-14)


def test_derivatives_are_those_of_finite_differences():
    angles = draw(2, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: ladder_probabilities(a, 3), angles)
    assert torch.autograd.gradgradcheck(lambda a: ladder_probabilities(a, 3), angles)


def test_one_layer_has_a_product_distribution():
    """Before the ladder the bits are independent, each 1 with probability sin^2(theta / 2)."""
    (theta,) = draw(1, 3)
    ones = torch.sin(theta / 2).square()
    (actual,) = ladder_probabilities(theta[None], 3)
    for outcome in range(8):
        bits = [(outcome ^ (outcome << 1)) >> j & 1 for j in range(3)]
        expected = math.prod(p if bit else 1 - p for p, bit in zip(ones, bits, strict=True))
        assert actual[outcome].item() == pytest.approx(float(expected), abs=1e-15)


def test_meta_device_gives_shapes():
    assert ladder_probabilities(draw(2, 8).to("meta"), 3).shape == (2, 8)


def job(rows: int) -> Job:
    circuit = ry_ladder(3, 7)
    program = lower(circuit, (), tuple(circuit.parameters))
    shared = np.random.default_rng(1).uniform(-3, 3, (rows, 7))
    return Job(program, Probabilities(), np.zeros((1, 0)), shared)


def test_shots_of_a_job_take_the_place_of_those_of_the_sampler():
    drawn = LadderSampler(50, seed=4).run(job(2)).values
    for own in (None, 7):
        again = LadderSampler(own, seed=4).run(replace(job(2), shots=50)).values
        np.testing.assert_array_equal(again, drawn)


@pytest.mark.parametrize("shots", [None, 1000])
def test_numbers_are_those_of_the_executor(shots, aer_calls):
    executor, sampler = ho.AerExecutor(shots=shots, seed=4), LadderSampler(shots, seed=4)
    for _ in range(2):  # the second call continues the random stream
        actual = sampler.run(job(5)).values
        before = len(aer_calls)
        expected = executor.run(job(5)).values
        assert len(aer_calls) > before
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)
    assert sampler.usage == ho.Cost()
    assert sampler.state_dict()["calls"] == executor.state_dict()["calls"]


def test_blocks_change_no_number(monkeypatch):
    whole = LadderSampler(50, seed=1).run(job(6)).values
    monkeypatch.setattr(statevector, "BYTES_AT_ONCE", 1)
    assert np.array_equal(LadderSampler(50, seed=1).run(job(6)).values, whole)


def test_state_dict_resumes_the_random_stream():
    sampler = LadderSampler(50, seed=None)
    position = sampler.state_dict()
    first = sampler.run(job(2)).values
    assert not np.array_equal(sampler.run(job(2)).values, first)
    other = LadderSampler(50, seed=9)
    other.load_state_dict(position)
    assert np.array_equal(other.run(job(2)).values, first)
    assert copy.deepcopy(sampler) is sampler
    assert "without a run" in sampler.explain(job(2))


def test_shots_must_be_positive():
    with pytest.raises(ArgumentError, match="`shots`"):
        LadderSampler(0)
