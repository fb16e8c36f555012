"""Memory bridge on every kind of executor: methods and noise."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import NoiseModel, amplitude_damping_error, depolarizing_error
from torch import nn

import hybridopt as ho
from hybridopt.errors import ResourceError, UnsupportedError
from tests.bridges.memories import closed_form_loss, moved
from tests.bridges.networks import RECIPES
from tests.execution.relays import Remote

METHODS = ("statevector", "density_matrix", "matrix_product_state")


def noise(strength: float = 0.02) -> NoiseModel:
    model = NoiseModel()
    damping = amplitude_damping_error(strength)
    model.add_all_qubit_quantum_error(damping, ["ry"])
    model.add_all_qubit_quantum_error(damping.tensor(depolarizing_error(strength, 1)), ["cx"])
    return model


def small(executor, **options) -> ho.QuantumNetwork:
    torch.manual_seed(5)
    network = nn.Linear(2, 2).double()  # six weights in eight places
    return moved(ho.to_quantum(network, synthesis="gates", executor=executor, **options))


def loss_of(quantum: nn.Module) -> torch.Tensor:
    x = torch.tensor([[0.3, -0.9], [1.2, 0.4], [-0.5, 0.8]], dtype=torch.float64)
    return (quantum(x) - 0.5).square().mean()


@pytest.mark.parametrize("method", METHODS)
def test_gates_run_with_every_method(method, aer_calls):
    case, executor = RECIPES["mlp-double"](), ho.AerExecutor(method=method)
    quantum = moved(ho.to_quantum(case.network, synthesis="gates", executor=executor))
    loss = case.loss(quantum)
    loss.backward()
    assert aer_calls == [1, 1]
    assert executor.usage == quantum.step_cost() == ho.Cost(settings=2, runs=2)
    angles = quantum.angles.detach().clone().requires_grad_()
    expected = closed_form_loss(case, quantum, angles)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(quantum.angles.grad, angles.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("num_angles", [None, 3])
def test_gradient_with_noise_is_that_of_the_noisy_loss(num_angles, aer_calls):
    executor = ho.AerExecutor(noise_model=noise())
    quantum = small(executor, num_angles=num_angles)
    loss_of(quantum).backward()
    settings = 1 + 2 * (num_angles or 8)
    assert "gate by gate" in quantum.explain()
    assert executor.usage == quantum.step_cost() == ho.Cost(settings, runs=settings)
    assert len(aer_calls) == 2
    for place, slope in enumerate(quantum.angles.grad.tolist()):
        ends = []
        for step in (1e-5, -1e-5):
            quantum.angles.data[place] += step
            ends.append(loss_of(quantum).item())
            quantum.angles.data[place] -= step
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=0, abs=1e-7)


def test_noise_enters_the_readout_by_circuit_only():
    quantum = small(ho.AerExecutor(noise_model=noise()))
    exact, noisy = (ho.to_classical(quantum, readout=r) for r in ("angles", "circuit"))
    torch.testing.assert_close(loss_of(noisy), loss_of(quantum), rtol=0, atol=1e-14)
    assert (exact.weight - noisy.weight).abs().max() > 1e-3
    quantum.executor = ho.AerExecutor()
    torch.testing.assert_close(loss_of(quantum), loss_of(exact), rtol=0, atol=1e-12)


def test_evaluation_with_noise_reads_once():
    executor = ho.AerExecutor(noise_model=noise(), shots=50, seed=1)
    quantum = small(executor).eval()
    first = loss_of(quantum)
    assert torch.equal(loss_of(quantum), first)
    assert executor.usage.settings == 1
    first.backward()
    assert executor.usage.settings == 17
    assert quantum.angles.grad.abs().max() > 0
    quantum.angles.data[0] += 0.1
    loss_of(quantum)
    assert executor.usage.settings == 18


@pytest.mark.parametrize("options", [{}, {"shots": 64, "method": "statevector", "seed": 2}])
def test_training_with_noise_lowers_the_noisy_loss(options):
    quantum = small(ho.AerExecutor(noise_model=noise(0.005), **options))
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.1)
    exact_network = small(ho.AerExecutor(noise_model=noise(0.005)))
    exact_network.load_state_dict(quantum.state_dict())
    before = loss_of(exact_network).item()
    for _ in range(8):
        optimizer.zero_grad()
        loss_of(quantum).backward()
        optimizer.step()
    exact_network.load_state_dict(quantum.state_dict())
    assert loss_of(exact_network).item() < 0.8 * before


def test_noise_of_a_device():
    backend = GenericBackendV2(5, seed=1)
    executor = ho.AerExecutor(noise_model=backend)
    quantum = small(executor)
    loss_of(quantum).backward()
    assert executor.usage == quantum.step_cost()
    assert torch.isfinite(quantum.angles.grad).all()


def test_copies_and_pickles_run_with_noise():
    quantum = small(ho.AerExecutor(noise_model=noise()))
    expected = loss_of(quantum)
    for copied in (copy.deepcopy(quantum), pickle.loads(pickle.dumps(quantum))):
        torch.testing.assert_close(loss_of(copied), expected, rtol=0, atol=1e-14)


def test_meta_device_gives_shapes_with_noise(aer_calls):
    quantum = small(ho.AerExecutor(noise_model=noise())).to("meta")
    outputs = quantum(torch.zeros(4, 2, dtype=torch.float64, device="meta"))
    assert outputs.shape == (4, 2)
    outputs.sum().backward()
    assert aer_calls == []


REFUSED = [
    ({"noise_model": noise()}, {}, 'synthesis="gates"'),
    ({"method": "density_matrix"}, {}, "`method` .*'density_matrix'"),
    ({"method": "matrix_product_state"}, {"num_angles": 3}, "`method` .*'matrix_product_state'"),
]


@pytest.mark.parametrize(("executor", "options", "message"), REFUSED)
def test_diagonal_requires_state_vectors_without_noise(executor, options, message, aer_calls):
    with pytest.raises(UnsupportedError, match=message):
        ho.to_quantum(nn.Linear(3, 2), executor=ho.AerExecutor(**executor), **options)
    assert aer_calls == []


@pytest.mark.parametrize("options", [{"method": "density_matrix"}, {"noise_model": noise()}])
def test_density_matrices_need_more_memory(options, aer_calls):
    executor = ho.AerExecutor(max_memory=60_000, **options)
    with pytest.raises(ResourceError, match=r"6 qubits.*density_matrix"):
        ho.to_quantum(RECIPES["mlp"]().network, synthesis="gates", executor=executor)
    assert aer_calls == []


def test_remote_jobs_of_a_step_are_submitted_before_any_is_waited_for():
    remote, local = Remote(), ho.AerExecutor()
    quantum, expected = (small(executor) for executor in (remote, local))
    loss_of(quantum).backward()
    loss_of(expected).backward()
    torch.testing.assert_close(quantum.angles.grad, expected.angles.grad, rtol=0, atol=1e-12)
    assert remote.events == ["submit 1x1"] * 2 + ["wait 1x1"] * 2
    assert remote.usage.settings == local.usage.settings == 2
    with torch.no_grad():
        loss_of(quantum)
    assert remote.events[4:] == ["submit 1x1", "wait 1x1"]
