"""Memory bridge: conversion, readout by Aer, and gradients from one shift of all angles."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit_aer
import torch
from qiskit.quantum_info import Operator
from scipy.linalg import hadamard
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.bridges.memory.circuit import MemoryProgram, index_qubits
from hybridopt.errors import ResourceError
from hybridopt.execution import Probabilities
from hybridopt.execution.aer.in_place.state import BufferedState
from tests.bridges.memories import (
    NUM_PLACES,
    NUM_WEIGHTS,
    check_moments,
    closed_form,
    closed_form_loss,
    moved,
    quantum_mlp,
    readout,
)
from tests.bridges.networks import NETWORKS, RECIPES

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
both_syntheses = pytest.mark.parametrize("synthesis", ["gates", "multiplexer"])
both_forms = pytest.mark.parametrize("form", ["residual", "full"])


@both_forms
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_largest_numbers_are_converted(dtype, form):
    network = nn.Linear(3, 2).to(dtype)
    network.weight.data[0, 0] = torch.finfo(dtype).max
    classical = ho.to_classical(ho.to_quantum(network, form=form))
    torch.testing.assert_close(classical.state_dict(), network.state_dict(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_full_form_is_exact_within_its_bound(recipe, dtype, bound):
    network = recipe().network.to(dtype)
    classical = ho.to_classical(ho.to_quantum(network, form="full"))
    for before, after in zip(network.parameters(), classical.parameters(), strict=True):
        if before.numel():
            assert (after - before).abs().max() <= bound * before.abs().max()


@both_forms
@both_syntheses
def test_circuit_reads_the_closed_form(form, synthesis):
    quantum = quantum_mlp(form=form, synthesis=synthesis)
    read = dict(quantum.decode(readout="circuit").named_parameters())
    expected = closed_form(quantum, quantum.angles.detach())
    for name, parameter in read.items():
        torch.testing.assert_close(parameter.data, expected[name], rtol=0, atol=1e-10)


@both_forms
@both_syntheses
def test_gradient_is_autograd_through_the_closed_form(form, synthesis):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(form=form, synthesis=synthesis)
    loss = case.loss(quantum)
    loss.backward()
    angles = quantum.angles.detach().clone().requires_grad_()
    expected = closed_form_loss(case, quantum, angles)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(quantum.angles.grad, angles.grad, rtol=0, atol=1e-10)


def shift_every_rotation(quantum) -> np.ndarray:
    """Return d cos(theta_j) / d theta_k from the gate chain, two settings per rotation."""
    circuit = quantum.circuit(synthesis="gates")
    rotations = [i for i, step in enumerate(circuit.data) if step.operation.name == "ry"]
    size = len(rotations)
    jacobian = np.zeros((size, size))
    for position, index in enumerate(rotations):
        shifted = []
        for shift in (np.pi / 2, -np.pi / 2):
            changed = circuit.copy()
            step = changed.data[index]
            operation = type(step.operation)(step.operation.params[0] + shift)
            changed.data[index] = step.replace(operation=operation)
            shifted.append(readout(changed))
        walsh_row = hadamard(size)[position ^ (position >> 1)] / size
        jacobian += np.outer((shifted[0] - shifted[1]) / 2, walsh_row)
    return jacobian


def test_gradient_is_that_of_one_shift_per_rotation():
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    case.loss(quantum).backward()
    classical = ho.to_classical(quantum)
    case.loss(classical).backward()
    slopes = [
        s * p.grad.flatten() for s, p in zip(quantum.scales, classical.parameters(), strict=True)
    ]
    cotangent = np.zeros(NUM_PLACES)
    cotangent[:NUM_WEIGHTS] = torch.cat(slopes).numpy()
    expected = (cotangent @ shift_every_rotation(quantum))[:NUM_WEIGHTS]
    np.testing.assert_allclose(quantum.angles.grad.numpy(), expected, rtol=0, atol=1e-12)


def test_sampled_weights_have_the_stated_mean_and_variance():
    shots, repetitions = 10, 500
    network = nn.Linear(2, 2).double()
    executor = ho.AerExecutor(shots=shots, seed=5)
    quantum = moved(ho.to_quantum(network, executor=executor, scale={"weight": 2.0, "bias": 0.5}))
    samples = torch.stack(
        [torch.cat([t.flatten() for t in weights(quantum)]) for _ in range(repetitions)]
    )
    scales = torch.tensor([2.0] * 4 + [0.5] * 2, dtype=torch.float64)
    start = torch.cat([p.detach().flatten() for p in network.parameters()])
    cosines = (samples - start) / scales
    check_moments(cosines.numpy(), -torch.sin(quantum.angles.detach()).numpy(), shots)


def weights(quantum) -> list[torch.Tensor]:
    return [p.detach() for p in quantum.decode(readout="circuit").parameters()]


def test_weights_without_a_shot_do_not_move():
    network = RECIPES["mlp-double"]().network
    quantum = moved(ho.to_quantum(network, executor=ho.AerExecutor(shots=1, seed=1)))
    read = torch.cat([t.flatten() for t in weights(quantum)])
    start = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert (read == start).sum() == NUM_WEIGHTS - 1


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("rows", [1, 4])
def test_step_cost_is_the_cost_of_a_step(shots, rows, aer_calls):
    case, executor = RECIPES["mlp"](), ho.AerExecutor(shots=shots, seed=1)
    quantum = ho.to_quantum(case.network, executor=executor)
    quantum(case.x[:rows]).sum().backward()
    assert executor.usage == quantum.step_cost(rows)
    assert executor.usage == ho.Cost(settings=2, shots=2 * (shots or 0), runs=2)
    assert aer_calls == [1, 1]


def test_only_readout_runs_the_circuit(aer_calls):
    quantum = quantum_mlp()
    ho.to_classical(quantum)
    quantum.circuit()
    quantum.summary()
    quantum.merge()
    quantum.step_cost(3)
    assert aer_calls == []
    ho.to_classical(quantum, readout="circuit")
    assert aer_calls == [1]
    with torch.no_grad():
        quantum(RECIPES["mlp-double"]().x)
    assert aer_calls == [1, 1]


def flip_signs(monkeypatch, num_qubits: int) -> None:
    """Put X on the data qubit, so that Aer returns each cosine with the other sign."""
    run = qiskit_aer.AerSimulator.run

    def flipped(self, circuits, **kwargs):
        for circuit in circuits:
            save = circuit.data.pop()
            circuit.x(num_qubits - 1)
            circuit.append(save)
        return run(self, circuits, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", flipped)


def test_forward_uses_the_result_of_aer(monkeypatch):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    flip_signs(monkeypatch, quantum.num_qubits)
    expected = closed_form_loss(case, quantum, -quantum.angles.detach())
    torch.testing.assert_close(case.loss(quantum), expected, rtol=0, atol=1e-10)


def test_backward_uses_the_result_of_aer(monkeypatch):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    loss = case.loss(quantum)
    (expected,) = torch.autograd.grad(loss, quantum.angles, retain_graph=True)
    flip_signs(monkeypatch, quantum.num_qubits)
    loss.backward()
    torch.testing.assert_close(quantum.angles.grad, -expected, rtol=0, atol=1e-10)


@both_syntheses
def test_circuit_holds_the_weights(synthesis):
    quantum = quantum_mlp(form="full")
    circuit = quantum.circuit(synthesis=synthesis)
    assert list(quantum.circuits()) == [""]
    assert (circuit.num_qubits, quantum.num_qubits, quantum.num_angles) == (6, 6, NUM_PLACES)
    expected = np.zeros(NUM_PLACES)
    expected[:NUM_WEIGHTS] = -torch.sin(quantum.angles.detach()).numpy()
    np.testing.assert_allclose(readout(circuit), expected, rtol=0, atol=1e-12)
    default = quantum_mlp(form="full", synthesis=synthesis).circuit()
    assert Operator(default).equiv(Operator(circuit))
    assert default.count_ops() == circuit.count_ops()


def test_places_without_a_weight_read_zero():
    quantum = moved(ho.to_quantum(nn.Linear(4, 1)))
    assert (quantum.num_weights, quantum.num_angles) == (5, 8)
    np.testing.assert_allclose(readout(quantum.circuit())[5:], 0.0, rtol=0, atol=1e-14)


def test_large_networks_are_rejected_before_a_run(aer_calls):
    executor = ho.AerExecutor(max_memory=2000)
    with pytest.raises(ResourceError, match="6 qubits"):
        ho.to_quantum(RECIPES["mlp"]().network, executor=executor)
    assert aer_calls == []


def test_options_are_the_documented_ones():
    options = {"form": "residual", "synthesis": "multiplexer", "scale": "auto", "merge": None}
    assert Memory() == Memory(**options, num_angles=None, frozen=False)
    assert Memory(synthesis="diagonal") == Memory()  # a former name, also in files


def wide_network() -> tuple[nn.Module, torch.Tensor]:
    """Return a network whose circuit runs in blocks, and an input."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(60, 30), nn.Tanh(), nn.Linear(30, 3)).double(), torch.randn(
        2, 60
    ).double()


@pytest.mark.parametrize("options", [{}, {"strategy": "in-place"}], ids=str)
@pytest.mark.parametrize("wide", [False, True])
def test_gradient_in_blocks_is_that_of_the_closed_form(wide, options, aer_calls):
    network, x = wide_network() if wide else (nn.Linear(3, 2).double(), torch.randn(2, 3).double())
    quantum = moved(ho.to_quantum(network, executor=ho.AerExecutor(**options)))
    twin = ho.to_quantum(network, bridge="twin")
    twin.angles.data.copy_(quantum.angles.data)
    outputs = quantum(x)
    outputs.square().sum().backward()
    twin(x).square().sum().backward()
    torch.testing.assert_close(outputs, twin(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(quantum.angles.grad, twin.angles.grad, rtol=0, atol=1e-11)
    assert quantum.executor.usage == quantum.step_cost(2) == ho.Cost(2, 0, 2)
    assert aer_calls == [1, 1]
    assert (f"{2**11} RY gates" in quantum.explain()) is wide


@pytest.mark.parametrize("size", [(3, 2), (60, 40)])
def test_untrained_weights_are_read_as_they_were_given(size):
    network = nn.Linear(*size)
    network.weight.data[0] = 0.0  # a smaller number than any error of a readout
    read = ho.to_classical(ho.to_quantum(network), readout="circuit")
    assert torch.equal(read.weight, network.weight)
    assert torch.equal(read.bias, network.bias)


def test_each_step_in_blocks_uses_the_result_of_aer(monkeypatch):
    network, x = wide_network()
    quantum = moved(ho.to_quantum(network))
    twin = ho.to_quantum(network, bridge="twin")
    twin.angles.data.copy_(-quantum.angles.data)  # the other sign of each cosine
    multiplex = BufferedState.multiplex

    def flipped(state, controls, target, matrices):
        multiplex(state, controls, target, matrices)
        state.apply([([target], np.array([[0, 1], [1, 0]], dtype=complex))])

    monkeypatch.setattr(BufferedState, "multiplex", flipped)
    torch.testing.assert_close(quantum(x), twin(x), rtol=0, atol=1e-12)


def test_hundred_thousand_weights_take_two_settings():
    network, x = nn.Linear(1024, 128, bias=False), torch.randn(8, 1024)
    quantum = ho.to_quantum(network)
    quantum(x).square().mean().backward()
    assert quantum.angles.grad.abs().max() > 0
    assert quantum.executor.usage == quantum.step_cost(8) == ho.Cost(2, 0, 2)
    assert torch.equal(ho.to_classical(quantum).weight, network.weight)


def test_million_weights_fit_into_one_gigabyte():
    assert MemoryProgram(20).working_memory() < 0.11e9


def test_pretrained_encoder_of_23_million_weights_fits_into_five_gigabytes():
    executor = ho.AerExecutor(max_memory="5 GB")
    executor.check(MemoryProgram(index_qubits(22_713_216)), Probabilities())
