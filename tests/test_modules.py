"""Checks, copies, modes and meta passes of modules."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt._copies import copy_module
from hybridopt._modules import evaluation_mode, run_on_meta
from hybridopt.errors import ArgumentTypeError, ConversionError
from hybridopt.transfer import freeze

DOORS = {
    "fit": lambda network: ho.fit(network, "iris"),
    "to_quantum": ho.to_quantum,
    "transfer": lambda network: ho.transfer(network, num_outputs=2),
    "parameter_groups": lambda network: ho.parameter_groups(network, lr=0.1),
    "freeze": freeze,
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(
    ("given", "message"), [("mlp", "`network` .*str"), (nn.Tanh, r"`network` .*Tanh\(")]
)
def test_other_types_are_refused(door, given, message, aer_calls):
    with pytest.raises(ArgumentTypeError, match=message):
        door(given)
    assert aer_calls == []


def test_evaluation_mode_restores_every_mode():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Tanh()))
    network[1][0].eval()
    before = [module.training for module in network.modules()]
    with suppress(ZeroDivisionError), evaluation_mode(network):
        assert not any(module.training for module in network.modules())
        raise ZeroDivisionError
    assert [module.training for module in network.modules()] == before


def twice() -> nn.Module:
    """Return a network with a repeated layer and a shared weight."""
    layer, first, second = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(layer, nn.BatchNorm1d(3), layer, first, second)


def test_meta_pass_has_the_shape_and_dtype_of_a_real_pass():
    network, x = twice().double(), torch.randn(4, 3, dtype=torch.float64)
    before = copy.deepcopy(network.state_dict())
    meta = run_on_meta(network, x)
    assert meta.is_meta
    assert meta.requires_grad
    with torch.no_grad():
        assert not run_on_meta(network, x).requires_grad
    with pytest.raises(RuntimeError):
        run_on_meta(network, torch.randn(4, 5))
    assert network[0] is network[2]
    assert network[3].weight is network[4].weight
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    real = network(x)
    assert (meta.shape, meta.dtype) == (real.shape, real.dtype)


def test_copy_replaces_all_references():
    network, other = twice(), nn.Tanh()
    network.register_module("alias", network[0])
    copied = copy_module(network, {id(network[0]): other})
    assert copied[0] is copied[2] is copied.alias is other
    assert copied[3].weight is copied[4].weight is not network[3].weight
    assert isinstance(network[0], nn.Linear)
    network.computed = network[3].weight * 2
    with pytest.raises(ConversionError, match="Sequential"):
        copy_module(network)
