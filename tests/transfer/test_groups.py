"""Head and body move at rates of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES
from hybridopt.errors import ArgumentError, ArgumentTypeError

X = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def source() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)
    ).double()


def test_a_step_of_gradient_descent_moves_each_part_by_its_own_rate():
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


def test_a_tenth_unless_told():
    groups = ho.parameter_groups(ho.transfer(source(), freeze="none"), lr=0.3)
    assert [group["lr"] for group in groups] == [0.3, pytest.approx(0.03)]


def test_holds_what_will_be_unfrozen_and_not_what_was_always_frozen():
    network = source()
    network[0].weight.requires_grad_(False)
    target = ho.transfer(network)
    head, body = ho.parameter_groups(target, lr=0.1)
    assert [id(p) for p in head["params"]] == [id(p) for p in target[4].parameters()]
    assert [id(p) for p in body["params"]] == [id(target[0].bias), *map(id, target[2].parameters())]


def test_knows_the_head_wherever_the_network_goes():
    target = ho.transfer(source(), head="memory", freeze="none")
    for network in (target, ho.to_classical(target), nn.Sequential(target)):
        head, body = ho.parameter_groups(network, lr=0.1)
        assert sum(p.numel() for p in body["params"]) == 3 * 5 + 5 + 5 * 4 + 4
        assert sum(p.numel() for p in head["params"]) == 4 * 2 + 2
    again = ho.transfer(ho.transfer(source(), freeze="none"), head_layer="2", num_outputs=4)
    head, _ = ho.parameter_groups(again, lr=0.1)
    assert [id(p) for p in head["params"]] == [id(p) for p in again[2].parameters()]


def test_a_head_alone_is_one_group():
    assert len(ho.parameter_groups(ho.transfer(nn.Linear(3, 2)), lr=0.1)) == 1


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"network": source(), "lr": 0.1}, ArgumentError, "no head that `transfer` made.*by hand"),
        ({"network": 3, "lr": 0.1}, ArgumentTypeError, "torch.nn.Module, but is of type int"),
        ({"network": ho.transfer(source()), "lr": 0.0}, ArgumentError, "`lr` must be more than 0"),
        ({"network": ho.transfer(source()), "lr": 1, "body_lr": -1}, ArgumentError, "`body_lr`"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        ho.parameter_groups(**arguments)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_angles_that_make_the_head_alone_are_the_heads(bridge):
    quantum = ho.to_quantum(ho.transfer(source(), num_outputs=3), bridge)
    head, body = ho.parameter_groups(quantum, lr=0.1)
    trained = [id(p) for p in quantum.parameters() if p.requires_grad]
    assert [id(p) for p in head["params"]] == trained
    assert head["lr"] == 0.1
    assert sum(p.numel() for p in body["params"]) == 3 * 5 + 5 + 5 * 4 + 4


@pytest.mark.parametrize("bridge", [name for name in BRIDGES if name != "mesh"])
@pytest.mark.parametrize("freeze", ["none", ["0"]])
def test_angles_that_mix_head_and_body_have_no_rates_of_their_own(bridge, freeze):
    quantum = ho.to_quantum(ho.transfer(source(), num_outputs=3, freeze=freeze), bridge)
    message = rf"{bridge} network .*one rate, or carry the head alone: .*head=\"{bridge}\""
    with pytest.raises(ArgumentError, match=message):
        ho.parameter_groups(quantum, lr=0.1)
