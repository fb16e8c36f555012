"""The vector of weights against torch's own, and the shell around it."""

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
    joined = layout.join(layout.tensors(network))
    assert torch.equal(joined, parameters_to_vector(trained(network)).double())
    assert layout.num_weights == joined.numel()


@every_network
def test_split_undoes_join(recipe):
    network = recipe().network
    layout = ParameterLayout(network)
    pieces = layout.split(layout.join(layout.tensors(network)))
    for piece, parameter in zip(pieces, trained(network), strict=True):
        assert torch.equal(piece, parameter.double())


def test_tied_weights_stand_once_under_all_their_names():
    layout = ParameterLayout(RECIPES["tied"]().network)
    assert [slot.names for slot in layout.slots] == [
        ("words.weight", "head.weight"),
        ("head.bias",),
    ]
    assert (layout.slots[0].start, layout.slots[0].stop) == (0, 15)
    assert layout.slots[0].name == "words.weight"
    assert layout.num_weights == 20


def test_frozen_weights_are_no_part():
    layout = ParameterLayout(RECIPES["frozen"]().network)
    assert [slot.name for slot in layout.slots] == ["0.bias", "2.weight"]


@every_network
def test_shell_keeps_all_but_the_trained_weights(recipe):
    network = recipe().network
    before = snapshot(network)
    shell = ParameterLayout(network).without_parameters(network)
    assert not trained(shell)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert {name for name, _ in shell.named_parameters()} == frozen
    assert {n for n, _ in shell.named_buffers()} == {n for n, _ in network.named_buffers()}
    assert snapshot(network) == before


@every_network
def test_filled_shell_is_the_network_again(recipe):
    network = recipe().network
    layout = ParameterLayout(network)
    filled = layout.with_parameters(layout.without_parameters(network), layout.tensors(network))
    assert snapshot(filled) == snapshot(network)


@every_network
def test_filling_lets_gradients_through_and_empties_again(recipe):
    case = recipe()
    layout = ParameterLayout(case.network)
    shell = layout.without_parameters(case.network)
    tensors = [t.requires_grad_() for t in layout.tensors(copy.deepcopy(case.network))]
    with layout.swapped_parameters(shell, tensors) as network:
        loss = case.loss(network)
    case.loss(case.network).backward()
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
    for gradient, parameter in zip(gradients, trained(case.network), strict=True):
        if parameter.numel():
            torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=case.precision)
    assert not trained(shell)


def test_places_are_emptied_after_an_error():
    network = RECIPES["mlp"]().network
    layout = ParameterLayout(network)
    shell = layout.without_parameters(network)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fill_and_run(layout, shell, layout.tensors(network), torch.ones(1, 7))
    assert not list(shell.parameters())


def fill_and_run(layout, shell, tensors, x):
    with layout.swapped_parameters(shell, tensors) as network:
        network(x)


def test_network_that_cannot_be_copied_is_refused():
    network = nn.Linear(3, 2)
    network.cache = network.weight * 2  # only leaves of the graph can be copied
    with pytest.raises(ConversionError, match=r"Linear cannot be copied \(Only Tensors created"):
        ParameterLayout(network).without_parameters(network)
