"""Gate chain with noise, compared with density matrices and central differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import DensityMatrix, Kraus
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
)
from scipy.linalg import hadamard

from hybridopt.bridges.memory.circuit import MemoryProgram, chain_program, split_probabilities
from hybridopt.bridges.memory.readout import ChainReader
from hybridopt.execution import AerExecutor, Cost
from hybridopt.gradients import ParameterShift

QUBITS = 3
PLACES = 1 << QUBITS
DELTA = torch.from_numpy(np.random.default_rng(4).uniform(-1.5, 1.5, PLACES))


def model_of(**errors) -> NoiseModel:
    model = NoiseModel()
    for name, error in errors.items():
        model.add_all_qubit_quantum_error(error, [name])
    return model


def readout_errors() -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_readout_error(ReadoutError([[0.95, 0.05], [0.1, 0.9]]))
    return model


DAMPING, FLIP = amplitude_damping_error(0.05), pauli_error([("X", 0.03), ("I", 0.97)])
LOCAL = depolarizing_error(0.05, 1)
MODELS = {
    "damping": model_of(ry=DAMPING, cx=DAMPING.tensor(DAMPING), h=DAMPING),
    "flips": model_of(ry=FLIP),
    "local depolarizing": model_of(cx=LOCAL.tensor(LOCAL)),
    "joint depolarizing": model_of(ry=LOCAL, cx=depolarizing_error(0.03, 2)),
    "flips of the data qubit": model_of(ry=pauli_error([("Y", 0.03), ("I", 0.97)])),
    "readout": readout_errors(),
}
APART = ("joint depolarizing", "flips of the data qubit")  # place k depends on theta_k only


def reader(model: NoiseModel, columns: tuple[int, ...] | None = None, **options) -> ChainReader:
    executor = AerExecutor(noise_model=model, **options)
    return ChainReader(QUBITS, columns, executor, ParameterShift())


def cosines(chain: ChainReader, delta: torch.Tensor) -> torch.Tensor:
    return chain.cosines(chain.probabilities(delta))


def evolved(model: NoiseModel, theta: np.ndarray) -> np.ndarray:
    """Return cosines from a density matrix; each gate is followed by its error."""
    errors = model._default_quantum_errors
    state = DensityMatrix.from_label("0" * (QUBITS + 1))
    circuit = MemoryProgram(QUBITS, "gates").bind(np.zeros(0), theta)
    for step in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
        state = state.evolve(step.operation, qubits)
        if step.operation.name in errors:
            state = state.evolve(Kraus(errors[step.operation.name]), qubits)
    zero, one = state.probabilities().reshape(2, -1)
    return (zero - one) / (zero + one)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "readout"])
def test_noise_acts_on_every_gate_of_the_chain(name):
    expected = evolved(MODELS[name], math.pi / 2 + DELTA.numpy())
    actual = cosines(reader(MODELS[name]), DELTA)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=1e-12)
    assert np.abs(expected + np.sin(DELTA.numpy())).max() > 0.01  # the noise is visible


@pytest.mark.parametrize("name", MODELS)
def test_derivative_is_exact_under_any_noise(name):
    """Compare with central differences; truncation h^2/6, rounding 1e-15/h."""
    chain, step = reader(MODELS[name]), 1e-5
    jacobian = torch.func.jacrev(lambda delta: cosines(chain, delta))(DELTA)
    for place in range(PLACES):
        move = step * torch.eye(PLACES, dtype=torch.float64)[place]
        ahead, behind = cosines(chain, DELTA + move), cosines(chain, DELTA - move)
        difference = (ahead - behind) / (2 * step)
        torch.testing.assert_close(jacobian[:, place], difference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_common_shift_is_exact_for_independent_places_only(name):
    chain = reader(MODELS[name])
    jacobian = torch.func.jacrev(lambda delta: cosines(chain, delta))(DELTA)
    by_common_shift = torch.diag(-cosines(chain, DELTA - math.pi / 2))
    error = (jacobian - by_common_shift).abs().max()
    assert (error < 1e-12) if name in APART else (error > 0.01)


def test_second_derivatives_are_those_of_the_first():
    chain, step = reader(MODELS["flips"]), 1e-5

    def slope(delta: torch.Tensor) -> torch.Tensor:
        delta = delta.clone().requires_grad_()
        total = cosines(chain, delta).square().sum()
        (gradient,) = torch.autograd.grad(total, delta, create_graph=True)
        return gradient

    point = DELTA.clone().requires_grad_()
    total = cosines(chain, point).square().sum()
    (gradient,) = torch.autograd.grad(total, point, create_graph=True)
    (row,) = torch.autograd.grad(gradient[2], point)
    move = step * torch.eye(PLACES, dtype=torch.float64)[2]
    difference = (slope(DELTA + move) - slope(DELTA - move)) / (2 * step)
    torch.testing.assert_close(row, difference.detach(), rtol=0, atol=1e-7)


def test_corrected_readout_errors_leave_the_closed_form_and_its_slopes():
    chain = reader(MODELS["readout"], readout_mitigation="inverse")
    torch.testing.assert_close(cosines(chain, DELTA), -torch.sin(DELTA), rtol=0, atol=1e-12)
    jacobian = torch.func.jacrev(lambda delta: cosines(chain, delta))(DELTA)
    torch.testing.assert_close(jacobian, torch.diag(-torch.cos(DELTA)), rtol=0, atol=1e-12)


def test_negative_corrected_probabilities_give_cosines():
    chain = reader(MODELS["readout"], readout_mitigation="inverse", shots=20, seed=1)
    probabilities = chain.probabilities(DELTA)
    assert probabilities.min() < 0
    assert chain.cosines(probabilities).abs().max() <= 1
    assert np.abs(split_probabilities(probabilities.numpy().ravel())).max() <= 1


def test_empty_noise_model_gives_the_closed_form():
    torch.testing.assert_close(
        cosines(reader(NoiseModel()), DELTA), -torch.sin(DELTA), rtol=0, atol=1e-12
    )


def test_places_without_an_angle_read_zero():
    read = cosines(reader(NoiseModel()), DELTA[:5])
    torch.testing.assert_close(read[5:], torch.zeros(3).double(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("columns", [(1, 3, 6), (0, 5), (7,)])
def test_sparse_chain_takes_two_settings_per_angle(columns):
    chain = reader(MODELS["damping"], columns)
    assert chain_program(QUBITS, columns)[0].num_shared_angles == len(columns)
    matrix = torch.from_numpy(hadamard(PLACES)[:, list(columns)].astype(float))
    z = torch.linspace(-0.4, 0.7, len(columns), dtype=torch.float64)
    z.requires_grad_()
    sparse = cosines(chain, matrix @ z)
    before = chain.executor.usage
    sparse.sum().backward()
    assert chain.executor.usage == before + Cost(2 * len(columns), runs=2 * len(columns))
    step = 1e-5
    for place in range(len(columns)):
        move = step * torch.eye(len(columns), dtype=torch.float64)[place]
        ends = [cosines(chain, matrix @ (z.detach() + s * move)).sum() for s in (1, -1)]
        assert z.grad[place].item() == pytest.approx((ends[0] - ends[1]).item() / 2e-5, abs=1e-7)


def test_shots_have_the_mean_of_the_density_matrix():
    """The standard error of a cosine is at most sqrt(N / shots), without the spread of n_k."""
    shots = 40_000
    exact = cosines(reader(MODELS["damping"]), DELTA)
    for method in ("automatic", "statevector"):
        chain = reader(MODELS["damping"], shots=shots, seed=1, method=method)
        bound = 5 * math.sqrt(1.5 * PLACES / shots)
        assert (cosines(chain, DELTA) - exact).abs().max() < bound


def test_unmeasured_place_reads_zero_without_a_gradient():
    probabilities = torch.zeros(1, 1, 2 * PLACES, dtype=torch.float64)
    probabilities[0, 0, 3], probabilities[0, 0, PLACES + 3] = 0.75, 0.25
    probabilities.requires_grad_()
    read = reader(NoiseModel()).cosines(probabilities)
    expected = torch.zeros(PLACES, dtype=torch.float64)
    expected[3] = 0.5
    assert torch.equal(read.detach(), expected)
    read.sum().backward()
    assert torch.isfinite(probabilities.grad).all()
