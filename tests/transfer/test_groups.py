"""Separate learning rates of head and body."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES
from hybridopt.errors import ArgumentError

X = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def source() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)
    ).double()


def test_step_of_gradient_descent_uses_both_rates():
    network = ho.transfer(source(), num_outputs=3, freeze="none")
    start = [p.detach().clone() for p in network.parameters()]
    groups = ho.parameter_groups(network, lr=0.5, body_lr=0.02)
    optimizer = torch.optim.SGD(groups)
    loss = network(X).square().mean()
    slopes = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    loss.backward()
    optimizer.step()
    rates = [0.02] * 4 + [0.5] * 2
    for now, before, slope, rate in zip(network.parameters(), start, slopes, rates, strict=True):
        torch.testing.assert_close(now.detach(), before - rate * slope, rtol=0, atol=1e-15)


def test_default_rate_of_the_body_and_head_alone():
    groups = ho.parameter_groups(ho.transfer(source(), freeze="none"), lr=0.3)
    assert [group["lr"] for group in groups] == [0.3, pytest.approx(0.03)]
    assert len(ho.parameter_groups(ho.transfer(nn.Linear(3, 2)), lr=0.1)) == 1


def test_groups_hold_only_parameters_that_transfer_froze():
    network = source()
    network[0].weight.requires_grad_(False)
    target = ho.transfer(network)
    head, body = ho.parameter_groups(target, lr=0.1)
    assert [id(p) for p in head["params"]] == [id(p) for p in target[4].parameters()]
    assert [id(p) for p in body["params"]] == [id(target[0].bias), *map(id, target[2].parameters())]


def test_head_of_converted_and_nested_networks():
    target = ho.transfer(source(), head="memory", freeze="none")
    for network in (target, ho.to_classical(target), nn.Sequential(target)):
        head, body = ho.parameter_groups(network, lr=0.1)
        assert sum(p.numel() for p in body["params"]) == 3 * 5 + 5 + 5 * 4 + 4
        assert sum(p.numel() for p in head["params"]) == 4 * 2 + 2
    again = ho.transfer(ho.transfer(source(), freeze="none"), head_layer="2", num_outputs=4)
    head, _ = ho.parameter_groups(again, lr=0.1)
    assert [id(p) for p in head["params"]] == [id(p) for p in again[2].parameters()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": source(), "lr": 0.1}, "`network`.*Sequential"),
        ({"network": ho.transfer(source()), "lr": 0.0}, "`lr`"),
        ({"network": ho.transfer(source()), "lr": 1, "body_lr": -1}, "`body_lr`"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        ho.parameter_groups(**arguments)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_angles_of_a_quantum_head(bridge):
    quantum = ho.to_quantum(ho.transfer(source(), num_outputs=3), bridge)
    head, body = ho.parameter_groups(quantum, lr=0.1)
    trained = [id(p) for p in quantum.parameters() if p.requires_grad]
    assert [id(p) for p in head["params"]] == trained
    assert head["lr"] == 0.1
    assert sum(p.numel() for p in body["params"]) == 3 * 5 + 5 + 5 * 4 + 4


@pytest.mark.parametrize("bridge", [name for name in BRIDGES if name != "mesh"])
@pytest.mark.parametrize("freeze", ["none", ["0"]])
def test_angles_shared_by_head_and_body(bridge, freeze):
    quantum = ho.to_quantum(ho.transfer(source(), num_outputs=3, freeze=freeze), bridge)
    with pytest.raises(ArgumentError, match=rf'head="{bridge}"'):
        ho.parameter_groups(quantum, lr=0.1)
