"""Copies of modules with hooks of parameters and computed weights."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

import hybridopt as ho
from hybridopt._copies import accumulation_hooks, copy_module, gradient_hooks
from hybridopt.errors import ConversionError


def tripled(gradient: torch.Tensor) -> torch.Tensor:
    return 3 * gradient


def hooked() -> nn.Sequential:
    """Return a network with a hook of a trainable and of a frozen weight."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    network[1].weight.register_hook(tripled)
    network[0].weight.register_hook(lambda gradient: gradient * 0)
    network[0].weight.requires_grad_(False)
    return network


def test_copy_replaces_all_references():
    layer, first, second, other = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Tanh()
    second.weight = first.weight
    network = nn.Sequential(layer, nn.Tanh(), layer, first, second)
    network.register_module("alias", network[0])
    copied = copy_module(network, {id(network[0]): other})
    assert copied[0] is copied[2] is copied.alias is other
    assert copied[3].weight is copied[4].weight is not network[3].weight
    assert isinstance(network[0], nn.Linear)
    network.computed = network[3].weight * 2
    with pytest.raises(ConversionError, match="Sequential"):
        copy_module(network)


def test_copy_has_the_hooks_of_parameters():
    network, calls = hooked(), []
    network[1].bias.register_post_accumulate_grad_hook(lambda p: calls.append(id(p)))
    copied = copy_module(nn.Sequential(network))[0]
    assert not copied[0].weight.requires_grad
    assert len(gradient_hooks(copied[0].weight)) == len(accumulation_hooks(copied[1].bias)) == 1
    x = torch.randn(5, 3)
    for one in (network, copied):
        one(x).square().sum().backward()
    assert torch.equal(copied[1].weight.grad, network[1].weight.grad)
    assert calls == [id(network[1].bias), id(copied[1].bias)]


def test_copied_hooks_are_not_registered_twice():
    whole = nn.Sequential(ho.to_quantum(hooked()))
    for _ in range(2):
        whole = copy_module(whole)
    assert len(gradient_hooks(whole[0].network[0].weight)) == 1


def test_copy_of_computed_weights_follows_its_own_parameters():
    network = nn.Sequential(nn.Linear(3, 4))
    prune.l1_unstructured(network[0], "weight", 0.5)
    copied = copy_module(network)
    assert torch.equal(copied[0].weight, network[0].weight)
    copied[0].weight_orig.data += 1
    x = torch.randn(2, 3)
    expected = x @ (copied[0].weight_orig * network[0].weight_mask).T + network[0].bias
    torch.testing.assert_close(copied(x), expected)
    assert not torch.equal(network(x), copied(x))


def test_results_of_a_forward_pass_are_detached_on_request():
    network = nn.Linear(3, 2)
    network.cache = network.weight * 2
    copied = copy_module(network, after_forward=True)
    assert torch.equal(copied.cache, network.cache)
    assert not copied.cache.requires_grad
    assert network.cache.requires_grad


class Remembers(nn.Linear):
    """Layer that keeps its last outputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = super().forward(x)
        return self.last


@pytest.mark.parametrize("bridge", ["memory", "generator", "random-subspace"])
def test_networks_that_keep_results_are_converted_after_training(bridge):
    quantum = ho.to_quantum(nn.Sequential(Remembers(3, 2)), bridge)
    quantum(torch.randn(4, 3)).sum().backward()
    for one in (copy.deepcopy(quantum), quantum):
        assert ho.to_classical(one)(torch.randn(4, 3)).shape == (4, 2)


@pytest.mark.parametrize("door", [ho.transfer, lambda n: ho.transfer(ho.to_quantum(n))])
def test_transfer_keeps_hooks(door):
    network = hooked()
    network.append(nn.Linear(2, 2))
    target = door(network)
    assert [len(gradient_hooks(target[i].weight)) for i in range(3)] == [1, 1, 0]


def test_pickles_and_files_refuse_hooks_that_they_would_lose(tmp_path):
    quantum = ho.to_quantum(hooked())
    for write in (pickle.dumps, lambda q: ho.save(q, tmp_path / "network.ho")):
        with pytest.raises(ConversionError, match=r"`network.0.weight` .*hook"):
            write(quantum)
    network = nn.Linear(3, 2)
    network.weight.register_hook(tripled)
    quantum = ho.to_quantum(network)
    again = pickle.loads(pickle.dumps(quantum))
    assert gradient_hooks(ho.to_classical(again).weight) == (tripled,)
    with pytest.raises(ConversionError, match=r"`weight` .*hook"):
        ho.save(quantum, tmp_path / "network.ho")
    network.weight.register_hook(lambda gradient: gradient)
    with pytest.raises(ConversionError, match=r"`weight` .*pickle"):
        pickle.dumps(ho.to_quantum(network))
    assert list(tmp_path.iterdir()) == []


class Scaled(nn.Module):
    """Network with a weight of its own, which a graph reads by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale


def test_graphs_with_weights_of_their_own():
    network, x = torch.fx.symbolic_trace(Scaled()), torch.randn(4, 3)
    quantum = ho.to_quantum(network)
    for one in (quantum, copy.deepcopy(quantum)):
        torch.testing.assert_close(one(x), network(x))
        classical = ho.to_classical(one)
        assert torch.equal(classical(x), network(x))
        assert list(classical.state_dict()) == list(network.state_dict())
    with pytest.raises(ConversionError, match=r"`network` .*GraphModule.*hybridopt.save"):
        pickle.dumps(quantum)
    quantum = ho.to_quantum(nn.Sequential(weight_norm(nn.Linear(3, 2))))
    with pytest.raises(ConversionError, match=r"`network.0` .*parametrized"):
        pickle.dumps(quantum)
