"""Checks, copies, modes and meta passes of modules."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import torch
from torch import nn

import hybridopt as ho
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


class DistributedDataParallel(nn.Sequential):
    """Double of torch's class, which needs a process group."""


def divided() -> nn.Module:
    network = nn.DataParallel(nn.Linear(3, 2))
    network.device_ids = [0, 1]
    return network


def compiled_inside() -> nn.Module:
    return nn.Sequential(torch.compile(nn.Linear(3, 3), backend="eager"), nn.Linear(3, 2))


def quantized() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    return torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)


WRAPPED = {
    "script": (lambda: torch.jit.script(nn.Linear(3, 2)), "RecursiveScriptModule.*original"),
    "trace": (lambda: torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), "TracedModule"),
    "script inside": (
        lambda: nn.Sequential(torch.jit.script(nn.Linear(3, 3)), nn.Linear(3, 2)),
        "`0`.*RecursiveScriptModule",
    ),
    "compiled": (lambda: torch.compile(nn.Linear(3, 2), backend="eager"), "`compiled._orig_mod`"),
    "compiled inside": (compiled_inside, "`0`.*OptimizedModule"),
    "several devices": (divided, "DataParallel.*`wrapper.module`"),
    "distributed": (lambda: DistributedDataParallel(nn.Linear(3, 2)), "`wrapper.module`"),
    "quantized": (quantized, "trainable weights"),
}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("bridge", ho.bridges.BRIDGES)
@pytest.mark.parametrize(("make", "message"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped_networks_are_refused(make, message, bridge, aer_calls):
    with pytest.raises(ConversionError, match=message):
        ho.to_quantum(make(), bridge)
    assert aer_calls == []


def partly_quantized() -> nn.Module:
    return nn.Sequential(quantized()[0], nn.Linear(3, 2))


PASSED = {
    "graph": lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))),
    "one device": lambda: nn.DataParallel(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))),
    "partly quantized": partly_quantized,
}


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("bridge", ["memory", "mesh"])
@pytest.mark.parametrize("make", PASSED.values(), ids=PASSED)
def test_other_networks_pass(make, bridge):
    network, x = make(), torch.randn(4, 3)
    quantum = ho.to_quantum(network, bridge)
    torch.testing.assert_close(quantum(x), network(x), rtol=0, atol=1e-5)
    quantum(x).sum().backward()
    classical = ho.to_classical(quantum)
    assert isinstance(classical, nn.Sequential | nn.DataParallel | torch.fx.GraphModule)
    assert list(classical.state_dict()) == list(network.state_dict())
