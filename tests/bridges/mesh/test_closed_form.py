"""Closed form of a mesh, compared with Aer and with dense matrices."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from hybridopt import AerExecutor
from hybridopt.bridges.mesh.circuit import mesh_program
from hybridopt.bridges.mesh.closed_form import (
    ClosedFormMesh,
    mesh_matrices,
    propagate,
    sampled_amplitudes,
)
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.errors import ResourceError, UnsupportedError
from hybridopt.execution import Cost, Job, Probabilities
from hybridopt.gradients import ParameterShift
from tests.execution.jobs import job_of

from .test_decomposition import dense


def random_angles(mesh: MeshShape) -> torch.Tensor:
    angles = np.random.default_rng(4).uniform(-1, 1, (1, mesh.num_angles))
    return torch.from_numpy(angles)


@pytest.mark.parametrize("feed", ["data", "basis", "reference"])
def test_numbers_are_those_of_aer(feed):
    mesh = MeshShape(2, 3)
    program, rng = mesh_program(mesh, feed), np.random.default_rng(0)
    rows, shared = rng.normal(size=(4, program.num_row_angles)), rng.normal(size=(2, 6))
    if feed == "basis":
        rows = np.pi / 2 * np.eye(3)
    readout = MeshReader(mesh, AerExecutor(), ParameterShift()).evaluation(feed).readout
    job = Job(program, readout, rows, shared)
    np.testing.assert_allclose(
        ClosedFormMesh().run(job).values, AerExecutor().run(job).values, atol=1e-13
    )


@pytest.mark.parametrize("feed", ["data", "reference"])
def test_shots_of_a_job_take_the_place_of_those_of_the_executor(feed):
    mesh = MeshShape(2, 3)
    program, rng = mesh_program(mesh, feed), np.random.default_rng(0)
    rows, shared = rng.normal(size=(4, program.num_row_angles)), rng.normal(size=(2, 6))
    readout = MeshReader(mesh, AerExecutor(), ParameterShift()).evaluation(feed).readout
    job = Job(program, readout, rows, shared)
    drawn = ClosedFormMesh(50, seed=3).run(job).values
    for own in (None, 7):
        again = (
            ClosedFormMesh(own, seed=3).run(Job(program, readout, rows, shared, shots=50)).values
        )
        np.testing.assert_array_equal(again, drawn)


def test_samples_have_the_joint_distribution():
    """The triple product differs from that of pairwise independent outcomes."""
    y = np.array([0.58, -0.57, 0.57])
    repeats, generator = 12_000, np.random.default_rng(1)
    drawn = [tuple(sampled_amplitudes(y, 1, generator)) for _ in range(repeats)]
    for s in itertools.product((1, -1), repeat=3):
        pairs = sum(s[i] * s[j] * y[i] * y[j] for i, j in itertools.combinations(range(3), 2))
        p = (1 + np.dot(s, y) + pairs) / 8
        margin = 5 * math.sqrt(p * (1 - p) / repeats)  # independent ones would be 0.0236 off
        assert margin < 0.0236
        assert drawn.count(s) / repeats == pytest.approx(p, abs=margin)


def test_grouped_shots_have_the_covariance_of_single_shots():
    y, shots, repeats = np.array([0.5, -0.3, 0.6]), 3, 8_000
    generator = np.random.default_rng(1)
    drawn = np.array([sampled_amplitudes(y, shots, generator) for _ in range(repeats)])
    margin = 5 / math.sqrt(repeats * shots)
    np.testing.assert_allclose(drawn.mean(0), y, rtol=0, atol=margin)
    expected = np.diag(1 - y**2)  # outcomes of two modes have the mean y_i y_j
    np.testing.assert_allclose(shots * np.cov(drawn.T), expected, rtol=0, atol=0.08)


@pytest.mark.parametrize("feed", ["data", "reference"])
def test_estimates_are_near_the_exact_numbers(feed):
    mesh, shots = MeshShape(2, 3), 4000
    x = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    angles = random_angles(mesh)[0]
    exact = MeshReader(mesh, ClosedFormMesh(), ParameterShift()).outputs(x, angles, feed)
    sampler = ClosedFormMesh(shots, seed=3)
    sampled = MeshReader(mesh, sampler, ParameterShift()).outputs(x, angles, feed)
    error = (sampled - exact).abs().max().item() / x.norm().item()
    assert 0 < error < 5 * math.sqrt(2 / shots)
    assert sampler.usage == Cost()


def test_random_stream_is_shared_by_copies():
    mesh = MeshShape(2, 2)
    sampler = ClosedFormMesh(100, seed=3)
    reader = MeshReader(mesh, sampler, ParameterShift())
    state = sampler.state_dict()
    first, second = (reader.matrices(random_angles(mesh)) for _ in range(2))
    assert not torch.equal(first, second)
    assert copy.deepcopy(sampler) is sampler
    sampler.load_state_dict(state)
    assert torch.equal(reader.matrices(random_angles(mesh)), first)
    assert "without a run" in sampler.explain(Job(mesh_program(mesh, 0), Probabilities(), *TABLES))


TABLES = np.zeros((1, 0)), np.zeros((1, 4))


def test_other_circuits_and_wide_distributions_are_rejected():
    with pytest.raises(UnsupportedError, match="`program`"):
        ClosedFormMesh().check(job_of("pauli_rotations").program, Probabilities())
    wide = mesh_program(MeshShape(9, 9), "reference")
    with pytest.raises(ResourceError, match=r"at most 24 .*27"):
        ClosedFormMesh().check(wide, Probabilities())


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (5, 3), (4, 4)])
def test_propagation_is_the_product_of_the_rotations(m, n):
    mesh, rng = MeshShape(m, n), np.random.default_rng(m)
    angles, inputs = rng.normal(size=(2, m * n)), rng.normal(size=(5, mesh.num_modes))
    whole = np.stack([dense(mesh, row) for row in angles])
    actual = propagate(mesh, torch.from_numpy(angles), torch.from_numpy(inputs))
    np.testing.assert_allclose(actual.numpy(), inputs @ whole.swapaxes(1, 2), rtol=0, atol=1e-14)
    matrices = mesh_matrices(mesh, torch.from_numpy(angles))
    np.testing.assert_allclose(matrices.numpy(), whole[:, :m, :n], rtol=0, atol=1e-14)


def test_matrix_is_differentiable():
    angles = torch.linspace(-1, 2, 6, dtype=torch.float64)[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda a: mesh_matrices(MeshShape(2, 3), a), angles)
