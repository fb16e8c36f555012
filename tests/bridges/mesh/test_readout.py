"""Meshes read from Aer, compared with their matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from torch import Tensor

from hybridopt import AerExecutor
from hybridopt.bridges.mesh.closed_form import mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.mesh.readout import MeshReader, loader_angles, with_linear_grad
from hybridopt.execution import Cost
from hybridopt.gradients import Spsa, create

MPS = "matrix_product_state"


class Problem:
    """Matrix, its angles, and a reader."""

    def __init__(self, m: int, n: int, rule: str = "adjoint", batch: int = 3, **options) -> None:
        rng = np.random.default_rng((m, n))
        matrix = rng.normal(size=(m, n))
        self.mesh, alpha = MeshShape(m, n), 2.5 * np.linalg.norm(matrix, 2)
        self.matrix = torch.from_numpy(matrix / alpha)
        self.angles = torch.from_numpy(self.mesh.decompose(matrix, alpha)).requires_grad_()
        self.x = torch.from_numpy(rng.normal(size=(batch, n))).requires_grad_()
        self.executor = AerExecutor(**options)
        self.reader = MeshReader(self.mesh, self.executor, create(rule))

    def errors(self, feed: str = "data") -> Tensor:
        """Return the errors of the outputs in units of alpha |x|."""
        with torch.no_grad():
            outputs = self.reader.outputs(self.x, self.angles, feed)
            lengths = self.x.norm(dim=1, keepdim=True)
            return (outputs - self.x @ self.matrix.T) / lengths


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (5, 5), (4, 6)])
def test_every_readout_gives_the_product(m, n):
    problem = Problem(m, n)
    assert problem.errors().abs().max() < 1e-13
    if m + n < 8:  # larger reference circuits are too wide for a test
        assert problem.errors("reference").abs().max() < 1e-13
    matrix = problem.reader.matrices(problem.angles[None])[0]
    torch.testing.assert_close(matrix, problem.matrix, rtol=0, atol=1e-13)


def test_seventeen_qubits_give_the_product():
    problem = Problem(8, 9, batch=1)
    assert problem.mesh.num_modes == 17
    assert problem.errors().abs().max() < 1e-13


@pytest.mark.parametrize("size", [32])
def test_matrix_product_states_support_many_modes(size):
    problem = Problem(size, size, "parameter-shift", batch=1, method=MPS)
    assert problem.errors().abs().max() < 1e-8


def test_matrix_product_states_are_differentiated():
    problem = Problem(2, 3, "parameter-shift", method=MPS)
    found = torch.autograd.grad(problem.reader.matrices(problem.angles[None]).sum(), problem.angles)
    exact = torch.autograd.grad(
        mesh_matrices(problem.mesh, problem.angles[None]).sum(), problem.angles
    )
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
@pytest.mark.parametrize("feed", ["process", "data", "reference"])
def test_derivatives_are_those_of_the_closed_form(rule, feed):
    problem = Problem(2, 3, rule)
    weights = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2)

    def loss(outputs: Tensor) -> Tensor:
        return (weights * outputs).sum()

    closed = problem.x @ mesh_matrices(problem.mesh, problem.angles[None])[0].T
    expected = torch.autograd.grad(loss(closed), (problem.x, problem.angles))
    if feed == "process":
        outputs = problem.x @ problem.reader.matrices(problem.angles[None])[0].T
    else:
        outputs = problem.reader.outputs(problem.x, problem.angles, feed)
    actual = torch.autograd.grad(loss(outputs), (problem.x, problem.angles))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_second_derivatives_are_those_of_the_closed_form():
    problem = Problem(2, 2, "parameter-shift", batch=2)
    pair = (problem.x, problem.angles)
    found = torch.autograd.functional.hessian(
        lambda x, a: problem.reader.outputs(x, a).square().sum(), pair
    )
    expected = torch.autograd.functional.hessian(
        lambda x, a: (x @ mesh_matrices(problem.mesh, a[None])[0].T).square().sum(), pair
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_settings_are_counted():
    problem, (m, n) = Problem(2, 3, "parameter-shift"), (2, 3)
    problem.reader.matrices(problem.angles[None]).sum().backward()
    assert problem.executor.usage.settings == (2 * m * n + 1) * n
    before = problem.executor.usage
    outputs = problem.reader.outputs(problem.x, problem.angles)
    assert (problem.executor.usage - before).settings == 3
    outputs.sum().backward()
    assert (problem.executor.usage - before).settings == 3 * (2 * m * n + 1) + n


def test_inputs_with_zeros_have_finite_derivatives():
    problem = Problem(2, 3)
    x = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0, 0, -2.0]], dtype=torch.float64)
    x.requires_grad_()
    outputs = problem.reader.outputs(x, problem.angles)
    assert torch.equal(outputs[0], torch.zeros(2).double())
    outputs.sum().backward()
    expected = problem.matrix.sum(0).expand(3, 3)
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-13)


def test_cached_readout_is_not_run_again():
    problem = Problem(2, 3)
    known = problem.reader.read(problem.angles[None])
    before = problem.executor.usage
    first = problem.reader.matrices(problem.angles[None], known)
    assert problem.executor.usage == before
    torch.testing.assert_close(first[0], problem.matrix, rtol=0, atol=1e-13)
    problem.reader.matrices(problem.angles[None] + 0.1, known)
    assert problem.executor.usage != before


def test_spsa_takes_two_more_settings_per_input():
    problem = Problem(2, 3)
    reader = MeshReader(problem.mesh, problem.executor, Spsa(seed=1))
    reader.matrices(problem.angles[None]).sum().backward()
    assert problem.executor.usage.settings == 3 * 3


def test_shots_have_the_expected_error():
    shots = 2000
    problem = Problem(3, 3, "parameter-shift", batch=40, shots=shots, seed=5)
    errors = problem.errors().square().mean().sqrt().item()
    assert 0.7 / math.sqrt(shots) < errors < 1.2 / math.sqrt(shots)  # variance at most 1 per shot
    assert problem.executor.usage == Cost(40, 40 * shots, problem.executor.usage.runs)


def depolarizing(strength: float) -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(strength, 2), ["cz", "cx"])
    return model


def test_derivatives_are_exact_with_noise():
    problem = Problem(1, 2, "parameter-shift", noise_model=depolarizing(0.05))

    def total(angles: Tensor) -> Tensor:
        return problem.reader.matrices(angles[None]).sum()

    (found,) = torch.autograd.grad(total(problem.angles), problem.angles)
    for k, step in enumerate(1e-4 * torch.eye(2, dtype=torch.float64)):
        with torch.no_grad():
            slope = (total(problem.angles + step) - total(problem.angles - step)) / 2e-4
        assert found[k].item() == pytest.approx(slope.item(), abs=1e-7)
    assert abs(total(problem.angles) - problem.matrix.sum()) > 0.01


@pytest.mark.parametrize("size", [2, 3])
def test_references_lower_the_error_under_noise(size):
    problem = Problem(size, size, batch=1, noise_model=depolarizing(0.005), rule="parameter-shift")
    raw, selected = (problem.errors(feed).norm().item() for feed in ("data", "reference"))
    assert selected < 0.75 * raw


def test_references_with_corrected_readout_errors():
    noise = depolarizing(0.005)
    expected = Problem(2, 2, batch=1, noise_model=noise, rule="parameter-shift")
    noise = depolarizing(0.005)
    noise.add_all_qubit_readout_error(ReadoutError([[0.95, 0.05], [0.1, 0.9]]))
    options = {"noise_model": noise, "readout_mitigation": "inverse", "rule": "parameter-shift"}
    exact = Problem(2, 2, batch=1, **options)
    torch.testing.assert_close(
        exact.errors("reference"), expected.errors("reference"), rtol=0, atol=1e-12
    )
    few = Problem(2, 2, batch=1, shots=4, seed=2, **options)
    assert few.errors("reference").abs().max() < 1 + math.sqrt(2)


def test_loader_angles_hold_direction_and_sign():
    rows = [[1.0, -2, 3, -4], [0, 0, 0, 0], [0, 0, 0, -2], [1e200, 0, 1e200, 0]]
    x = torch.tensor(rows, dtype=torch.float64)
    angles, lengths = loader_angles(x)
    assert angles.isfinite().all()
    torch.testing.assert_close(
        lengths, torch.tensor([math.sqrt(30), 0, 2, math.sqrt(2) * 1e200], dtype=torch.float64)
    )
    c, s = torch.cos(angles[0] / 2), torch.sin(angles[0] / 2)
    loaded = torch.stack([c[0], s[0] * c[1], s[0] * s[1] * c[2], s[0] * s[1] * s[2]])
    torch.testing.assert_close(loaded * lengths[0], x[0], rtol=0, atol=1e-14)
    single, length = loader_angles(torch.tensor([[-3.0]]).double())
    assert (single.shape, length.item()) == ((1, 0), -3.0)


def matrix(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos() * angles[0]])


def product(x: Tensor, angles: Tensor) -> Tensor:
    """Return W x, computed without autograd as in a circuit that loads x."""
    return with_linear_grad(x, angles, x.detach() @ matrix(angles).T, matrix)


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor]:
    x = torch.tensor([[0.0, 0.0, 1.5], [0.2, -1.0, 0.0]], dtype=torch.float64)
    return x.requires_grad_(), torch.tensor([0.3, -0.7, 1.9], dtype=torch.float64).requires_grad_()


def test_linear_grad_has_first_and_second_derivatives(tensors):
    x, angles = tensors
    assert torch.autograd.gradcheck(product, (x, angles))
    found = torch.autograd.functional.hessian(lambda *a: product(*a).square().sum(), tensors)
    expected = torch.autograd.functional.hessian(
        lambda x, a: (x @ matrix(a).T).square().sum(), tensors
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_linear_grad_supports_forward_mode_and_vmap(tensors):
    x, angles = (tensor.detach() for tensor in tensors)
    tangents = (torch.ones_like(x), torch.arange(3.0).double())

    def plain(x: Tensor, angles: Tensor) -> Tensor:
        return x @ matrix(angles).T

    expected = torch.func.jvp(plain, (x, angles), tangents)
    actual = torch.func.jvp(product, (x, angles), tangents)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-14)
    batch = torch.stack([x, 2 * x])
    jacobians = torch.func.vmap(torch.func.jacrev(lambda x: product(x, angles).sum(0)))(batch)
    expected_rows = matrix(angles)[None, :, None].expand(2, 2, 2, 3)
    torch.testing.assert_close(jacobians, expected_rows, rtol=0, atol=1e-14)


def test_matrix_is_not_read_without_a_gradient_of_x(tensors):
    x, angles = tensors

    def forbidden(given: Tensor) -> Tensor:
        raise AssertionError

    outputs = with_linear_grad(x.detach(), angles, x.detach() @ matrix(angles).T, forbidden)
    outputs.sum().backward()
    assert angles.grad is not None
