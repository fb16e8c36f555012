"""Vector of weights, and networks without their weights, compared with torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from hybridopt.bridges.parameter_layout import ParameterLayout
from hybridopt.errors import ConversionError

from .networks import NETWORKS, RECIPES, snapshot

every_network = pytest.mark.parametrize("recipe", NETWORKS)


def trained(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


@every_network
def test_order_is_that_of_torch(recipe):
    network = recipe().network
    layout = ParameterLayout(network)
    joined = parameters_to_vector(layout.tensors(network)).double()
    assert torch.equal(joined, parameters_to_vector(trained(network)).double())
    assert layout.num_weights == joined.numel()
    for piece, parameter in zip(layout.split(joined), trained(network), strict=True):
        assert torch.equal(piece, parameter.double())


def test_tied_weights_have_one_slot_with_all_names():
    layout = ParameterLayout(RECIPES["tied"]().network)
    names = [slot.names for slot in layout.slots]
    assert names == [("words.weight", "head.weight"), ("head.bias",)]
    assert (layout.slots[0].start, layout.slots[0].stop) == (0, 15)
    assert layout.slots[0].name == "words.weight"
    assert layout.num_weights == 20


def test_frozen_weights_have_no_slot():
    layout = ParameterLayout(RECIPES["frozen"]().network)
    assert [slot.name for slot in layout.slots] == ["0.bias", "2.weight"]


@every_network
def test_removed_weights_can_be_put_back(recipe):
    network = recipe().network
    before = snapshot(network)
    layout = ParameterLayout(network)
    empty = layout.without_parameters(network)
    assert not trained(empty)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert {name for name, _ in empty.named_parameters()} == frozen
    assert {n for n, _ in empty.named_buffers()} == {n for n, _ in network.named_buffers()}
    assert snapshot(network) == before
    assert snapshot(layout.with_parameters(empty, layout.tensors(network))) == before


@every_network
def test_swapped_parameters_get_gradients_for_a_block(recipe):
    case = recipe()
    layout = ParameterLayout(case.network)
    empty = layout.without_parameters(case.network)
    tensors = [t.requires_grad_() for t in layout.tensors(copy.deepcopy(case.network))]
    with layout.swapped_parameters(empty, tensors) as network:
        loss = case.loss(network)
    case.loss(case.network).backward()
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
    for gradient, parameter in zip(gradients, trained(case.network), strict=True):
        if parameter.numel():
            torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=case.precision)
    assert not trained(empty)


def test_swapped_parameters_are_removed_after_an_error():
    network = RECIPES["mlp"]().network
    layout = ParameterLayout(network)
    empty = layout.without_parameters(network)
    with (
        pytest.raises(RuntimeError, match="mat1 and mat2"),
        layout.swapped_parameters(empty, layout.tensors(network)) as filled,
    ):
        filled(torch.ones(1, 7))
    assert not list(empty.parameters())


def test_network_that_cannot_be_copied_is_named():
    network = nn.Linear(3, 2)
    network.cache = network.weight * 2  # only leaves of the graph can be copied
    with pytest.raises(ConversionError, match="Linear"):
        ParameterLayout(network).without_parameters(network)
