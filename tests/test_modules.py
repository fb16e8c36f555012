"""Checks and modes of modules: refused in the same words everywhere, restored exactly."""

from __future__ import annotations

from contextlib import suppress

import pytest
from torch import nn

import hybridopt as ho
from hybridopt._modules import evaluation_mode
from hybridopt.errors import ArgumentTypeError
from hybridopt.transfer import freeze

DOORS = {
    "fit": lambda network: ho.fit(network, "iris"),
    "to_quantum": ho.to_quantum,
    "transfer": lambda network: ho.transfer(network, num_outputs=2),
    "parameter_groups": lambda network: ho.parameter_groups(network, lr=0.1),
    "freeze": freeze,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mlp", "Argument `network` must be a torch.nn.Module, but is of type str"),
        (nn.Tanh, r"but is the class Tanh itself. Make one of it: Tanh\(...\)"),
    ],
)
def test_refused(door, given, message, aer_calls):
    with pytest.raises(ArgumentTypeError, match=message):
        door(given)
    assert aer_calls == []


def test_evaluation_mode_gives_each_module_its_own_mode_back():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Tanh()))
    network[1][0].eval()
    before = [module.training for module in network.modules()]
    with suppress(ZeroDivisionError), evaluation_mode(network):
        assert not any(module.training for module in network.modules())
        raise ZeroDivisionError
    assert [module.training for module in network.modules()] == before
