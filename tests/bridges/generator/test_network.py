"""Generator compared with its formula and its twin, with every rule, shots and noise."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

import hybridopt as ho
from hybridopt.bridges import Generator, Twin
from hybridopt.execution import Result
from tests.bridges.networks import RECIPES

RULES = ("parameter-shift", "adjoint", "spsa")


def moved(quantum):
    """Return the network with another mapping, as the initial one gives the angles no gradient."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in quantum.mapping.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
            parameter.add_(0.3 * noise)
    return quantum


def by_formula(quantum, options: Generator, network: nn.Module) -> list[float]:
    """Return all weights from Qiskit's state vector and the formula of the bridge."""
    probabilities = Statevector(quantum.circuit()).probabilities()
    size, state = len(probabilities), quantum.state_dict()
    row, bias = state["mapping.last.weight"][0].tolist(), state["mapping.last.bias"].item()
    deviation = state["mapping.deviation"].item()
    scales = [
        scale
        for tensor, scale in zip(network.parameters(), quantum.scales.tolist(), strict=True)
        for _ in range(tensor.numel())
    ]
    starts = parameters_to_vector(network.parameters()).tolist()
    weights = []
    for k, (scale, start) in enumerate(zip(scales, starts, strict=True)):
        bits = [2.0 * (k >> j & 1) - 1 for j in range(size.bit_length() - 1)]
        features = [*bits, (size * probabilities[k] - 1) / deviation]
        move = sum(w * x for w, x in zip(row, features, strict=True)) + bias
        weights.append(scale * move + (start if options.residual else 0.0))
    return weights


@pytest.mark.parametrize("residual", [True, False])
def test_weights_are_those_of_the_formula(residual):
    network = RECIPES["mlp-double"]().network
    options = Generator(num_angles=13, residual=residual, seed=3)
    quantum = moved(ho.to_quantum(network, options))
    expected = torch.tensor(by_formula(quantum, options, network), dtype=torch.float64)
    for readout in ("angles", "circuit"):
        classical = ho.to_classical(quantum, readout=readout)
        actual = parameters_to_vector(classical.parameters()).detach()
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mapping", ["affine", "tanh"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_gradient_is_that_of_central_differences(rule, training, mapping):
    case = RECIPES["mlp-double"]()
    options = Generator(num_angles=8, mapping=mapping)
    quantum = moved(ho.to_quantum(case.network, options, gradient=rule)).train(training)
    case.loss(quantum).backward()
    step = 1e-5  # errors of order 1e-11: step^2 / 6 and 1e-16 / step
    with torch.no_grad():
        for parameter in (quantum.angles, *quantum.mapping.parameters()):
            flat, gradient = parameter.view(-1), parameter.grad.view(-1)
            place = flat.numel() // 2
            losses = []
            for sign in (1, -1):
                flat[place] += sign * step
                losses.append(case.loss(quantum))
                flat[place] -= sign * step
            slope = (losses[0] - losses[1]) / (2 * step)
            torch.testing.assert_close(gradient[place], slope, rtol=1e-6, atol=1e-8)


def test_spsa_has_the_gradient_as_its_mean():
    case = RECIPES["mlp-double"]()
    executor = ho.AerExecutor(seed=5)
    rule = ho.gradients.Spsa(directions=100, perturbation=1e-3)
    quantum = moved(
        ho.to_quantum(case.network, Generator(num_angles=5), executor=executor, gradient=rule)
    )
    exact = moved(ho.to_quantum(case.network, Generator(num_angles=5)))
    case.loss(quantum).backward()
    case.loss(exact).backward()
    norm = exact.angles.grad.norm()  # upper bound of the standard deviation per direction
    assert norm > 1e-3
    error = (quantum.angles.grad - exact.angles.grad).abs().max()
    assert error <= 5 * norm / math.sqrt(100)


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
@pytest.mark.parametrize("training", [True, False])
def test_hessian_is_that_of_the_twin(rule, training):
    case, options = RECIPES["mlp-double"](), Generator(num_angles=5)
    hessians = []
    for bridge in (options, Twin(of=options)):
        quantum = moved(ho.to_quantum(case.network, bridge, gradient=rule)).train(training)
        (gradient,) = torch.autograd.grad(case.loss(quantum), quantum.angles, create_graph=True)
        basis = torch.eye(5, dtype=torch.float64)
        hessians += torch.autograd.grad(gradient, quantum.angles, basis, is_grads_batched=True)
    torch.testing.assert_close(*hessians, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shots", [None, 7])
@pytest.mark.parametrize("num_angles", [1, 8])
@pytest.mark.parametrize("rule", RULES)
def test_step_cost_is_the_cost_of_a_step(rule, num_angles, shots, aer_calls):
    if rule == "adjoint" and shots:
        return
    case, executor = RECIPES["mlp"](), ho.AerExecutor(shots=shots, seed=1)
    quantum = moved(
        ho.to_quantum(
            case.network, Generator(num_angles=num_angles), executor=executor, gradient=rule
        )
    )
    for _ in range(2):
        before, stated = executor.usage, quantum.step_cost(len(case.x))
        case.loss(quantum).backward()
        spent = executor.usage - before
        assert (spent.settings, spent.shots) == (stated.settings, stated.shots)
        assert spent.runs <= stated.runs
    expected = {"parameter-shift": 2 * num_angles + 1, "adjoint": 1, "spsa": 3}[rule]
    assert stated.settings == expected
    assert sum(aer_calls) > 0


def test_frozen_angles_are_read_once(aer_calls):
    case = RECIPES["mlp"]()
    quantum = ho.to_quantum(case.network, "generator", frozen=True)
    start = quantum.angles.clone()
    assert quantum.step_cost() == ho.Cost(settings=1, runs=1)
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        optimizer.step()
    assert quantum.executor.usage == ho.Cost(settings=1, runs=1)
    assert aer_calls == [1]
    assert quantum.step_cost() == ho.Cost()
    assert torch.equal(quantum.angles, start)
    assert "angles" in dict(quantum.named_buffers())
    quantum.executor = ho.AerExecutor()
    case.outputs(quantum)
    assert quantum.executor.usage.settings == 1


@pytest.mark.parametrize("shots", [None, 30])
def test_evaluation_reads_once_per_change_of_the_angles(shots, aer_calls):
    case = RECIPES["mlp"]()
    executor = ho.AerExecutor(shots=shots, seed=1)
    quantum = moved(ho.to_quantum(case.network, "generator", executor=executor)).eval()
    first = case.outputs(quantum)
    with torch.no_grad():
        assert torch.equal(case.outputs(quantum), first)
    assert torch.equal(case.outputs(copy.deepcopy(quantum)), first)
    assert executor.usage.settings == 1  # the copy keeps the readout
    quantum.angles.data[3] += 0.1
    assert not torch.equal(case.outputs(quantum), first)
    assert executor.usage.settings == 2
    case.loss(quantum).backward()
    assert executor.usage.settings == 2 + 2 * quantum.num_angles
    assert len(aer_calls) >= 3


def test_forward_uses_the_result_of_aer(monkeypatch):
    case = RECIPES["mlp-double"]()
    quantum = moved(ho.to_quantum(case.network, "generator"))
    shape = (1, 1, 1 << quantum.num_qubits)
    answer = np.random.default_rng(0).dirichlet(np.ones(shape[-1])).reshape(shape)
    monkeypatch.setattr(ho.AerExecutor, "run", lambda self, job: Result(answer))
    weights = ho.to_classical(quantum, readout="circuit")
    torch.testing.assert_close(case.outputs(quantum), case.outputs(weights), rtol=0, atol=1e-14)
    moves = quantum.mapping(torch.from_numpy(answer[0, 0]))
    torch.testing.assert_close(quantum.moves(), moves, rtol=0, atol=0)


def test_noise_makes_the_probabilities_more_equal():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    network = nn.Linear(3, 2)
    distances = []
    for noise in (None, model):
        executor = ho.AerExecutor(noise_model=noise)
        quantum = moved(ho.to_quantum(network, Generator(depth=3), executor=executor))
        read = quantum.source.values(quantum.angles)
        assert read.sum().item() == pytest.approx(1, abs=1e-12)
        distances.append((read - 1 / 8).norm().item())
        quantum(torch.ones(4, 3)).sum().backward()
        assert quantum.angles.grad.abs().max() > 0
    assert distances[1] < 0.9 * distances[0]


def test_angles_have_a_gradient_from_the_second_step():
    case = RECIPES["mlp"]()
    quantum = ho.to_quantum(case.network, "generator")
    optimizer = torch.optim.SGD(quantum.parameters(), lr=0.1)
    sizes = []
    for _ in range(2):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        sizes.append(quantum.angles.grad.abs().max().item())
        optimizer.step()
    assert sizes[0] == 0 < sizes[1]


def test_published_form_does_not_use_the_given_weights():
    networks = [RECIPES["mlp"]().network for _ in range(2)]
    for parameter in networks[1].parameters():
        parameter.data.add_(1.0)
    states = [
        ho.to_classical(ho.to_quantum(n, "generator", residual=False, scale=0.5)).state_dict()
        for n in networks
    ]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name])
        assert tensor.abs().max() > 0.01
        assert not torch.equal(tensor, networks[0].state_dict()[name])


@pytest.mark.parametrize(
    ("options", "angles", "mapping"),
    [
        ({}, 4 * 5, 7),
        ({"depth": 3}, 15, 7),
        ({"num_angles": 12}, 12, 7),
        ({"mapping": "tanh"}, 20, 8 * 8 + 1),
        ({"mapping": "tanh", "width": 3}, 20, 3 * 8 + 1),
        ({"num_angles": 100, "frozen": True}, 100, 7),
    ],
)
def test_sizes_are_the_documented_ones(options, angles, mapping):
    quantum = ho.to_quantum(RECIPES["mlp"]().network, "generator", **options)  # 32 weights
    assert (quantum.num_qubits, quantum.num_angles) == (5, angles)
    assert quantum.num_trainable == mapping + (0 if options.get("frozen") else angles)
    ops = quantum.circuit().count_ops()
    assert (ops["ry"], ops["cx"]) == (angles, 4 * -(-angles // 5))


def test_one_weight_and_many_weights():
    single = nn.Linear(1, 1, bias=False)
    quantum = ho.to_quantum(single, Generator(depth=1))
    assert (quantum.num_qubits, quantum.num_angles, quantum.num_trainable) == (1, 1, 4)
    quantum(torch.ones(2, 1)).sum().backward()
    many = nn.Linear(2000, 65).double()  # 130,065 weights on 17 qubits
    twin = Generator(depth=1).twin(many, executor=ho.AerExecutor())
    x = torch.ones(1, 2000).double()
    assert torch.equal(twin(x), many(x))
    assert torch.equal(ho.to_classical(ho.to_quantum(many, Generator(depth=1))).weight, many.weight)


def test_seed_determines_angles_and_mapping():
    network = RECIPES["mlp"]().network
    before = torch.get_rng_state()
    states = [
        ho.to_quantum(network, "generator", residual=False, seed=seed).state_dict()
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("angles", "mapping.last.weight"):
        assert torch.equal(states[0][name], states[1][name])
        assert not torch.equal(states[0][name], states[2][name])
    assert states[0]["angles"].abs().max() <= math.pi


def trajectory(case, quantum, steps: int) -> Tensor:
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.05)
    record = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = case.loss(quantum)
        loss.backward()
        optimizer.step()
        numbers = [p.detach().view(-1) for p in (quantum.angles, *quantum.mapping.parameters())]
        record.append(torch.cat([loss.detach().view(1), *numbers]))
    return torch.stack(record)


@pytest.mark.parametrize("shots", [None, 500])
@pytest.mark.parametrize(
    "options",
    [
        Generator(num_angles=9),
        Generator(mapping="tanh", depth=2),
        Generator(residual=False, depth=1),
        Generator(frozen=True),
    ],
    ids=["affine", "tanh", "published", "frozen"],
)
def test_training_of_the_twin_is_the_same(options, shots, aer_calls):
    case = RECIPES["mlp-double"]()
    executor = ho.AerExecutor(shots=shots, seed=8)
    # the sampler uses the random stream of the executor, so shots are the same
    twin = options.twin(case.network, executor=executor)
    actual = trajectory(case, twin, 6)
    assert aer_calls == []
    assert twin.step_cost(4) == twin.executor.usage == executor.usage == ho.Cost()
    assert (twin.num_qubits, twin.num_angles, twin.circuit()) == (0, 0, None)
    quantum = ho.to_quantum(case.network, options, executor=executor)
    assert twin.num_trainable == quantum.num_trainable
    torch.testing.assert_close(actual, trajectory(case, quantum, 6), rtol=0, atol=1e-10)
    case.network = ho.to_classical(twin)
    torch.testing.assert_close(
        case.outputs(case.network), case.outputs(ho.to_classical(quantum)), rtol=0, atol=1e-10
    )


def test_torch_func_is_supported(aer_calls):
    case = RECIPES["mlp-double"]()
    quantum = moved(ho.to_quantum(case.network, Generator(num_angles=4))).eval()
    with torch.no_grad():
        expected = case.outputs(quantum)
    runs = len(aer_calls)
    mapped = torch.func.vmap(lambda x: quantum(x[None])[0])(case.x)
    assert len(aer_calls) == runs  # one readout for all samples
    torch.testing.assert_close(mapped, expected, rtol=0, atol=1e-12)
    parameters = dict(quantum.named_parameters())

    def loss(given):
        return torch.func.functional_call(quantum, given, (case.x,)).square().mean()

    rows = {name: torch.stack([p.detach(), p.detach() + 0.1]) for name, p in parameters.items()}
    losses = torch.func.vmap(loss)(rows)
    single = [loss({name: row[i] for name, row in rows.items()}) for i in range(2)]
    torch.testing.assert_close(losses, torch.stack(single), rtol=0, atol=1e-12)


def test_fit_trains_it():
    data = ho.load_dataset("iris", seed=0)
    torch.manual_seed(0)
    quantum = ho.to_quantum(nn.Linear(4, 3), Generator(depth=2), gradient="adjoint")
    history = ho.fit(quantum, data, optimizer="adam", lr=0.05, epochs=8, seed=0)
    losses = history.train_loss
    assert losses[-1] < 0.6 * losses[0]
