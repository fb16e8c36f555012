"""The memory bridge: exact both ways, read from Aer, differentiated by one shift of all angles."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit_aer
import torch
from qiskit.quantum_info import Operator
from scipy.linalg import hadamard
from scipy.stats import binom
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.errors import ExecutionError, ResourceError
from tests.bridges.memories import (
    NUM_PLACES,
    NUM_WEIGHTS,
    closed_form,
    closed_form_loss,
    moved,
    quantum_mlp,
    readout,
)
from tests.bridges.networks import NETWORKS, RECIPES, bits

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
both_syntheses = pytest.mark.parametrize("synthesis", ["gates", "diagonal"])
both_forms = pytest.mark.parametrize("form", ["residual", "full"])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_residual_form_changes_no_bit(dtype):
    network = nn.Linear(7, 3).to(dtype)
    finfo = torch.finfo(dtype)
    special = [-0.0, 0.0, finfo.tiny, -finfo.smallest_normal / 2, 1 + finfo.eps, -3e4, 1e-3]
    network.weight.data[0] = torch.tensor(special, dtype=torch.float64).to(dtype)
    network.bias.data.fill_(-0.0)
    classical = ho.to_classical(ho.to_quantum(network))
    assert bits(classical.weight) == bits(network.weight)
    assert bits(classical.bias) == bits(network.bias)


@both_forms
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_largest_numbers_are_carried_over(dtype, form):
    network = nn.Linear(3, 2).to(dtype)
    network.weight.data[0, 0] = torch.finfo(dtype).max
    classical = ho.to_classical(ho.to_quantum(network, form=form))
    torch.testing.assert_close(classical.state_dict(), network.state_dict(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_full_form_comes_back_within_its_bound(recipe, dtype, bound):
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
    """d cos(theta_j) / d theta_k from the gate chain, two settings for each of its rotations."""
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


def test_gradient_equals_shifting_every_angle_of_the_chain_in_turn():
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
    cosines = -torch.sin(quantum.angles.detach())
    scales = torch.tensor([2.0] * 4 + [0.5] * 2, dtype=torch.float64)
    start = torch.cat([p.detach().flatten() for p in network.parameters()])
    never = (1 - 1 / 8) ** shots  # six weights in eight places
    numbers = np.arange(1, shots + 1)
    inverse = float(np.sum(binom.pmf(numbers, shots, 1 / 8) / numbers))
    mean = start + scales * (1 - never) * cosines
    variance = scales**2 * ((1 - cosines**2) * inverse + cosines**2 * never * (1 - never))
    squares = (samples - mean).square()
    assert torch.all((samples.mean(0) - mean).abs() <= 5 * (variance / repetitions).sqrt())
    spread = squares.std(0) / repetitions**0.5
    assert torch.all((squares.mean(0) - variance).abs() <= 5 * spread)


def weights(quantum) -> list[torch.Tensor]:
    return [p.detach() for p in quantum.decode(readout="circuit").parameters()]


def test_weights_that_no_shot_reaches_stay_where_they_were():
    network = RECIPES["mlp-double"]().network
    quantum = moved(ho.to_quantum(network, executor=ho.AerExecutor(shots=1, seed=1)))
    read = torch.cat([t.flatten() for t in weights(quantum)])
    start = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert (read == start).sum() == NUM_WEIGHTS - 1


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("rows", [1, 4])
def test_a_step_costs_what_step_cost_says(shots, rows, aer_calls):
    case, executor = RECIPES["mlp"](), ho.AerExecutor(shots=shots, seed=1)
    quantum = ho.to_quantum(case.network, executor=executor)
    quantum(case.x[:rows]).sum().backward()
    assert executor.usage == quantum.step_cost(rows)
    assert executor.usage == ho.Cost(settings=2, shots=2 * (shots or 0), runs=2)
    assert aer_calls == [1, 1]


def test_conversion_runs_nothing(aer_calls):
    quantum = quantum_mlp()
    ho.to_classical(quantum)
    quantum.circuit()
    quantum.summary()
    quantum.merge()
    quantum.step_cost(3)
    assert aer_calls == []


def test_readout_by_the_circuit_is_one_run(aer_calls):
    ho.to_classical(quantum_mlp(), readout="circuit")
    assert aer_calls == [1]


def test_nothing_is_shifted_without_a_gradient(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    with torch.no_grad():
        case.loss(quantum)
    assert aer_calls == [1]


def test_forward_needs_aer(monkeypatch):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()

    def broken(self, circuits, **kwargs):
        raise ExecutionError("no simulator today")

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", broken)
    with pytest.raises(ExecutionError, match="no simulator today"):
        case.loss(quantum)


def turn_signs(monkeypatch, num_qubits: int) -> None:
    """X on the data qubit before Aer: each cosine comes back with the other sign."""
    run = qiskit_aer.AerSimulator.run

    def turned(self, circuits, **kwargs):
        for circuit in circuits:
            save = circuit.data.pop()
            circuit.x(num_qubits - 1)
            circuit.append(save)
        return run(self, circuits, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", turned)


def test_forward_computes_with_what_aer_says(monkeypatch):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    turn_signs(monkeypatch, quantum.num_qubits)
    expected = closed_form_loss(case, quantum, -quantum.angles.detach())
    torch.testing.assert_close(case.loss(quantum), expected, rtol=0, atol=1e-10)


def test_backward_multiplies_by_what_aer_says(monkeypatch):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    loss = case.loss(quantum)
    (expected,) = torch.autograd.grad(loss, quantum.angles, retain_graph=True)
    turn_signs(monkeypatch, quantum.num_qubits)
    loss.backward()
    torch.testing.assert_close(quantum.angles.grad, -expected, rtol=0, atol=1e-10)


@both_syntheses
def test_the_circuit_to_look_at_holds_the_weights(synthesis):
    quantum = quantum_mlp(form="full")
    circuit = quantum.circuit(synthesis=synthesis)
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


def test_too_large_a_network_is_refused_before_a_run(aer_calls):
    executor = ho.AerExecutor(max_memory=2000)
    with pytest.raises(ResourceError, match=r"6 qubits needs about 2\.56e-05 GB, .* 2e-06 GB"):
        ho.to_quantum(RECIPES["mlp"]().network, executor=executor)
    assert aer_calls == []


def test_options_are_the_documented_ones():
    assert Memory() == Memory(
        form="residual",
        synthesis="diagonal",
        scale="auto",
        merge=None,
        num_angles=None,
        frozen=False,
    )


def test_a_hundred_thousand_weights_take_two_settings():
    network, x = nn.Linear(1024, 128, bias=False), torch.randn(8, 1024)
    quantum = ho.to_quantum(network)
    quantum(x).square().mean().backward()
    assert quantum.angles.grad.abs().max() > 0
    assert quantum.executor.usage == quantum.step_cost(8) == ho.Cost(2, 0, 2)
    assert torch.equal(ho.to_classical(quantum).weight, network.weight)


def test_one_million_weights_fit_into_four_gigabytes():
    assert MemoryProgram(20).working_memory() < 1e9  # of Aer; torch holds a few vectors of 8 MB
