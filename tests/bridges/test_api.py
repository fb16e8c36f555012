"""Conversion by name or instance, and of networks inside other modules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES, Memory, RandomSubspace, Twin

from .memories import moved


@pytest.mark.parametrize("name", list(BRIDGES))
def test_bridges_are_available_by_name_and_as_instances(name):
    by_name, instance = ho.to_quantum(nn.Linear(3, 2), name), BRIDGES[name]()
    assert by_name.bridge_name == instance.name == name
    assert type(ho.to_quantum(nn.Linear(3, 2), instance)) is type(by_name)


def test_options_by_name_are_those_of_the_instance():
    options = {"form": "full", "scale": 3.0}
    assert ho.to_quantum(nn.Linear(3, 2), "memory", **options).options == Memory(**options)
    twin = ho.to_quantum(nn.Linear(3, 2), "twin", **options)
    assert (twin.options, twin.bridge) == (Memory(**options), Twin(**options))
    subspace = ho.to_quantum(nn.Linear(3, 2), "random-subspace", num_parameters=3)
    assert subspace.options == RandomSubspace(num_parameters=3)


def test_given_executor_is_used():
    executor = ho.AerExecutor(shots=5, seed=1)
    assert ho.to_quantum(nn.Linear(3, 2), executor=executor).executor is executor
    assert ho.to_quantum(nn.Linear(3, 2)).executor.shots is None


def test_converted_layers_are_decoded_inside_their_network():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(3, 3), nn.ModuleDict({"a": nn.Linear(3, 2)}))
    hybrid = nn.Sequential(
        moved(ho.to_quantum(network[0])), nn.ModuleDict({"a": ho.to_quantum(network[1]["a"])})
    )
    expected = hybrid[0].decode()
    classical = ho.to_classical(hybrid)
    assert [type(m) for m in classical.modules()] == [type(m) for m in network.modules()]
    assert torch.equal(classical[0].weight, expected.weight)
    assert torch.equal(classical[1]["a"].weight, network[1]["a"].weight)
    assert isinstance(hybrid[0], ho.QuantumNetwork)


@pytest.mark.parametrize("nested", [False, True])
def test_shared_layer_is_decoded_once(nested):
    layer = moved(ho.to_quantum(nn.Linear(3, 3)))
    places = [nn.Sequential(layer), nn.Sequential(layer)] if nested else [layer, layer]
    classical = ho.to_classical(nn.Sequential(*places))
    assert not any(isinstance(module, ho.QuantumNetwork) for module in classical.modules())
    weights = [p for _, p in classical.named_parameters(remove_duplicate=False)]
    assert weights[0] is weights[2]
    assert sum(1 for _ in classical.parameters()) == 2


def test_gradients_reach_the_layers_before():
    torch.manual_seed(4)
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    hybrid = nn.Sequential(network[0], network[1], ho.to_quantum(network[2]))
    x = torch.randn(4, 3).double()
    hybrid(x).square().sum().backward()
    through_circuit = network[0].weight.grad.clone()
    network.zero_grad()
    network(x).square().sum().backward()
    torch.testing.assert_close(through_circuit, network[0].weight.grad, rtol=0, atol=1e-12)
