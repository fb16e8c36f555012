"""Layers in training: gradients from shots, earlier layers, optimizers, checkpoints."""

from __future__ import annotations

import math

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, CircuitLayer
from tests.nn.layers import EXACT_RULES, layer_of, tensors

NAME = "controlled_rotations"  # two inputs, three weights, three observables


@pytest.mark.parametrize("rule", ["parameter-shift", "spsa"])
def test_the_same_seed_gives_the_same_numbers_and_gradients(rule):
    def run(seed):
        layer = layer_of(NAME, gradient=rule, executor=AerExecutor(shots=100, seed=seed))
        x, _ = tensors(NAME)
        outputs = [layer(x), layer(x)]
        slopes = torch.autograd.grad(outputs[1].sum(), [x, layer.weight])
        return [tensor.detach() for tensor in (*outputs, *slopes)]

    first, again, other = run(7), run(7), run(8)
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    assert not torch.equal(first[0], first[1])


def test_gradients_from_shots_scatter_about_the_exact_ones():
    shots, draws = 400, 40
    x, _ = tensors(NAME, 1)
    exact = torch.autograd.grad(layer_of(NAME)(x).sum(), x)[0]
    sampled = layer_of(NAME, executor=AerExecutor(shots=shots, seed=1))
    slopes = torch.stack([torch.autograd.grad(sampled(x).sum(), x)[0] for _ in range(draws)])
    error = slopes.std(0) / math.sqrt(draws)
    assert ((slopes.mean(0) - exact).abs() <= 5 * error).all()
    assert (slopes.std(0) > 0).all()


class Sandwich(nn.Module):
    """Two circuits between linear layers."""

    def __init__(self, rule: str, executor: AerExecutor | None = None) -> None:
        super().__init__()
        self.first = nn.Linear(4, 2)
        self.circuit = layer_of(NAME, gradient=rule, executor=executor)
        self.second = nn.Linear(3, 2)
        self.again = layer_of("two_qubit_rotations", gradient=rule, executor=executor)
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.again(torch.tanh(self.second(self.circuit(self.first(x))))))


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_earlier_layers_learn(rule):
    torch.manual_seed(0)
    network = Sandwich(rule)
    x = torch.rand(6, 4)
    target = torch.tensor([0, 1, 1, 0, 1, 0])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), target)
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("optimizer", ["adam", "newton", "sgd"])
def test_fit_trains_a_circuit_in_the_middle(optimizer):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(2, 2), layer_of(NAME), nn.Linear(3, 1))
    x = torch.rand(8, 2)
    y = (x[:, :1] - x[:, 1:]).sin()
    history = ho.fit(network, (x, y), optimizer=optimizer, epochs=3, seed=0)
    assert history.train_loss[-1] < history.train_loss[0]


def test_newton_finds_the_minimum_of_a_circuit():
    w = ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(w[qubit], qubit)
    initial = torch.tensor([2.4, -2.0, 3.6], dtype=torch.float64)
    layer = CircuitLayer(circuit, (), w, ["ZII", "IZI", "IIZ"], initial=initial)
    optimizer = ho.optim.Newton(layer.parameters())
    for _ in range(8):
        optimizer.step(lambda: layer(torch.zeros(1, 0)).sum())
    expected = torch.tensor([math.pi, -math.pi, math.pi], dtype=torch.float64)
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=0, atol=1e-6)


def test_a_checkpoint_resumes_with_the_same_shots(tmp_path):
    def network():
        torch.manual_seed(5)
        executor = AerExecutor(shots=64, seed=9)
        return nn.Sequential(nn.Linear(2, 2), layer_of(NAME, executor=executor), nn.Linear(3, 1))

    x = torch.rand(6, 2, generator=torch.Generator().manual_seed(1))
    data, path = (x, x[:, :1]), tmp_path / "checkpoint.pt"
    whole, resumed = network(), network()
    options = {"optimizer": "adam", "batch_size": 3, "seed": 0}
    ho.fit(whole, data, epochs=4, **options)
    ho.fit(resumed, data, epochs=2, checkpoint=path, **options)
    fresh = network()
    ho.fit(fresh, data, epochs=4, checkpoint=path, **options)
    for one, other in zip(whole.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)
