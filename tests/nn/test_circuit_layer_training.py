"""Circuit layers in training: seeds, shot noise, layers before the circuit, checkpoints."""

from __future__ import annotations

import math

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, CircuitLayer
from tests.nn.layers import NAME, layer_of, tensors


@pytest.mark.parametrize("rule", ["parameter-shift", "spsa"])
def test_seed_fixes_outputs_and_gradients(rule):
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


def test_sampled_gradients_are_unbiased():
    shots, draws = 400, 40
    x, _ = tensors(NAME, 1)
    exact = torch.autograd.grad(layer_of(NAME)(x).sum(), x)[0]
    sampled = layer_of(NAME, executor=AerExecutor(shots=shots, seed=1))
    slopes = torch.stack([torch.autograd.grad(sampled(x).sum(), x)[0] for _ in range(draws)])
    error = slopes.std(0) / math.sqrt(draws)
    assert ((slopes.mean(0) - exact).abs() <= 5 * error).all()
    assert (slopes.std(0) > 0).all()


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [("parameter-shift", "adam"), ("parameter-shift", "newton"), ("adjoint", "sgd")],
)
def test_fit_trains_circuits_between_linear_layers(rule, optimizer):
    torch.manual_seed(1)
    circuits = layer_of(NAME, gradient=rule), layer_of("two_qubit_rotations", gradient=rule)
    network = nn.Sequential(
        nn.Linear(2, 2), circuits[0], nn.Linear(3, 2), circuits[1], nn.Linear(3, 1)
    )
    x = torch.rand(8, 2)
    y = (x[:, :1] - x[:, 1:]).sin()
    before = [p.detach().clone() for p in network.parameters()]
    history = ho.fit(network, (x, y), optimizer=optimizer, epochs=3, seed=0)
    assert history.train_loss[-1] < history.train_loss[0]
    assert not any(map(torch.equal, network.parameters(), before))


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


def test_checkpoint_resumes_the_sampling_stream(tmp_path):
    def network():
        torch.manual_seed(5)
        executor = AerExecutor(shots=64, seed=9)
        return nn.Sequential(nn.Linear(2, 2), layer_of(NAME, executor=executor), nn.Linear(3, 1))

    x = torch.rand(6, 2, generator=torch.Generator().manual_seed(1))
    data, path = (x, x[:, :1]), tmp_path / "checkpoint.pt"
    options = {"optimizer": "adam", "batch_size": 3, "seed": 0}
    whole, fresh = network(), network()
    ho.fit(whole, data, epochs=4, **options)
    ho.fit(network(), data, epochs=2, checkpoint=path, **options)
    ho.fit(fresh, data, epochs=4, checkpoint=path, **options)
    assert all(map(torch.equal, whole.parameters(), fresh.parameters()))
