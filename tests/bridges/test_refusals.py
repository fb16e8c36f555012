"""Errors of networks and options that cannot be converted, raised before a circuit is run."""

from __future__ import annotations

import math
import threading

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES, Memory, RandomSubspace, Twin
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    HybridOptError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)


def linear(value: float = 0.5) -> nn.Module:
    network = nn.Linear(3, 2)
    network.weight.data[1, 2] = value
    return network


def with_parameter(name: str, tensor: torch.Tensor, **options) -> nn.Module:
    network = linear()
    network.register_parameter(name, nn.Parameter(tensor, **options))
    return network


def with_lock() -> nn.Module:
    network = linear()
    network.lock = threading.Lock()
    return network


def with_buffer() -> nn.Module:
    network = linear()
    network.register_buffer("mask", torch.tensor([-math.inf, math.nan]))
    return network


def only_empty() -> nn.Module:
    network = nn.Module()
    network.empty = nn.Parameter(torch.empty(0, 3))
    return network


NAN = math.nan
NETWORKS = {
    "function": (lambda: torch.sin, ArgumentTypeError, "`network` must be a torch.nn.Module"),
    "class": (lambda: nn.Linear, ArgumentTypeError, "`network` .*Linear"),
    "none": (lambda: None, ArgumentTypeError, "`network` .*NoneType"),
    "no parameters": (nn.ReLU, ConversionError, "`network` .*ReLU"),
    "integers": (
        lambda: with_parameter("steps", torch.tensor([1, 2]), requires_grad=False),
        ConversionError,
        "`steps` .*torch.int64",
    ),
    "complex": (
        lambda: with_parameter("phase", torch.ones(2, dtype=torch.complex64)),
        ConversionError,
        "`phase` .*torch.complex64",
    ),
    "eight bits": (
        lambda: with_parameter("small", torch.ones(2).to(torch.float8_e4m3fn)),
        ConversionError,
        "`small` .*torch.float8_e4m3fn",
    ),
    "frozen": (lambda: linear().requires_grad_(False), ConversionError, "`network` .*trainable"),
    "empty": (only_empty, ConversionError, "`network` .*trainable"),
    "nan": (lambda: nn.Sequential(linear(NAN)), ConversionError, "`0.weight` .*1 NaN or infinite"),
    "infinite": (lambda: linear(-math.inf), ConversionError, "`weight` .*1 NaN or infinite"),
    "frozen nan": (
        lambda: nn.Sequential(linear(), linear(NAN).requires_grad_(False)),
        ConversionError,
        "`1.weight` .*1 NaN or infinite",
    ),
    "buffer": (with_buffer, ConversionError, "`mask` .*NaN"),
    "sparse": (
        lambda: nn.Sequential(nn.Embedding(3, 2, sparse=True)),
        ConversionError,
        "`0` .*sparse",
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2)), ConversionError, "`0.weight`"),
    "meta": (lambda: nn.Linear(3, 2, device="meta"), ConversionError, "`weight` .*meta"),
    "not copyable": (with_lock, ConversionError, "Linear .*_thread.lock"),
    "quantum": (lambda: ho.to_quantum(linear()), ConversionError, "`network` .*`to_classical`"),
    "quantum inside": (
        lambda: nn.Sequential(nn.Linear(3, 3), ho.to_quantum(linear())),
        ConversionError,
        "`network` .*`to_classical`",
    ),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("bridge", list(BRIDGES))
@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_without_a_circuit_form(kind, bridge, aer_calls):
    make, error, message = NETWORKS[kind]
    if kind == "sparse" and bridge == "mesh":
        message = "`0` .*sparse|Linear or Conv2d"
    with pytest.raises(error, match=message) as caught:
        ho.to_quantum(make(), bridge)
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


ARGUMENTS = [
    ({"bridge": "memry"}, UnknownNameError, "'memry'.*'memory'"),
    ({"bridge": Memory}, ArgumentTypeError, "bridge.*Memory"),
    ({"bridge": None}, ArgumentTypeError, "bridge.*None"),
    ({"bridge": Memory(), "form": "full"}, ArgumentError, r"`form` .*Memory\(\.\.\.\)"),
    ({"gradient": "shift"}, UnknownNameError, "'parameter-shift'"),
    ({"gradient": None}, ArgumentTypeError, "`gradient`"),
    ({"gradient": "adjoint"}, UnsupportedError, '`gradient` .*"adjoint"'),
    ({"gradient": "spsa"}, UnsupportedError, '`gradient` .*"spsa"'),
    ({"executor": "aer"}, ArgumentTypeError, "`executor` .*str"),
    ({"executor": ho.AerExecutor}, ArgumentTypeError, "`executor` .*class"),
]
SCALES = [
    (0, ArgumentError, "`scale`.* 0"),
    (-1.0, ArgumentError, "`scale`.* -1"),
    (math.nan, ArgumentError, "`scale`.* nan"),
    (True, ArgumentTypeError, "`scale`.* True"),
    (None, ArgumentTypeError, "`scale`.* None"),
    ("atuo", UnknownNameError, "scale 'atuo'.*'auto'"),
    ({"bias": 0.0}, ArgumentError, r"`scale\['bias'\]`"),
    ({"weigth": 1.0}, UnknownNameError, "`scale` 'weigth'"),
]
OPTIONS = {
    "memory": [
        ({"form": "residul"}, UnknownNameError, "form 'residul'.*'residual'"),
        ({"synthesis": "gate"}, UnknownNameError, "synthesis 'gate'.*'gates'"),
        ({"synthesys": "gates"}, UnknownNameError, "'synthesys'.*'synthesis'"),
    ],
    "mesh": [
        ({"keep_classical": ["9"]}, UnknownNameError, "`keep_classical` '9'"),
        ({"keep_classical": "0"}, ArgumentTypeError, "`keep_classical`"),
        ({"keep_classical": [0]}, ArgumentTypeError, "`keep_classical`"),
        ({"keep_classical": ["0", "2"]}, ConversionError, "`network` .*Linear or Conv2d"),
        ({"readout": "dat"}, UnknownNameError, "readout 'dat'.*'data' or 'auto'"),
        ({"scale": 0.5}, ArgumentError, "`scale`.* 0.5"),
        ({"scale": 1e8}, ArgumentError, r"`scale`.* 1e\+08"),
        ({"scale": "large"}, UnknownNameError, "scale 'large'"),
        ({"scale": None}, ArgumentTypeError, "`scale`.* None"),
        ({"frozen": True}, UnknownNameError, "'frozen'"),
    ],
    "generator": [
        ({"depth": 0}, ArgumentError, "`depth`.* 0"),
        ({"depth": 2.0}, ArgumentTypeError, "`depth`.* 2.0"),
        ({"num_angles": -3}, ArgumentError, "`num_angles`.* -3"),
        ({"num_angles": True}, ArgumentTypeError, "`num_angles`.* True"),
        ({"depth": 1, "num_angles": 3}, ArgumentError, "`depth` .*`num_angles`"),
        ({"mapping": "tan"}, UnknownNameError, "'tanh'"),
        ({"mapping": None}, ArgumentTypeError, "mapping"),
        ({"width": 4}, ArgumentError, "`width`.* 4"),
        ({"mapping": "tanh", "width": 0}, ArgumentError, "`width`.* 0"),
        ({"residual": 1}, ArgumentTypeError, "`residual`"),
        ({"frozen": "yes"}, ArgumentTypeError, "`frozen`"),
        ({"seed": -1}, ArgumentError, "`seed`.* -1"),
        ({"seed": None}, ArgumentTypeError, "`seed`.* None"),
        ({"layers": 3}, UnknownNameError, "'layers'"),
        ({"num_angles": 10**12}, ResourceError, "1,000,000,000,000.*`num_angles`"),
        ({"depth": 10**5}, ResourceError, "500,000.*`depth`"),
        ({"mapping": "tanh", "width": 10**11}, ResourceError, "`width`"),
    ],
    "random-subspace": [
        ({"num_parameters": 0}, ArgumentError, "`num_parameters`.* 0"),
        ({"num_parameters": 2.0}, ArgumentTypeError, "`num_parameters`.* 2.0"),
        ({"num_parameters": 33}, ArgumentError, "`num_parameters`.* 33"),
        ({"scale": 0}, ArgumentError, "`scale`.* 0"),
        ({"scale": "auto"}, ArgumentTypeError, "`scale`.* 'auto'"),
        ({"seed": -1}, ArgumentError, "`seed`.* -1"),
        ({"seed": None}, ArgumentTypeError, "`seed`.* None"),
        ({"num_parameter": 3}, UnknownNameError, "'num_parameter'.*'num_parameters'"),
    ],
    "walsh-subspace": [
        ({"num_parameters": 0}, ArgumentError, "`num_parameters`.* 0"),
        ({"num_parameters": 2.0}, ArgumentTypeError, "`num_parameters`.* 2.0"),
        ({"num_parameters": 33}, ArgumentError, "`num_parameters`.* 33"),
        ({"num_angles": 3}, UnknownNameError, "'num_angles'.*'num_parameters'"),
    ],
    "twin": [
        ({"of": "memry"}, UnknownNameError, "'memry'.*'memory'"),
        ({"of": "twin"}, UnknownNameError, "'twin'"),
        ({"of": Memory}, ArgumentTypeError, "bridge of a twin.*Memory"),
        ({"of": RandomSubspace()}, UnsupportedError, "`of` .*'random-subspace'"),
        ({"of": Twin()}, UnsupportedError, "`of` .*'twin'"),
        ({"of": Memory(), "form": "full"}, ArgumentError, r"`form` .*Memory\(\.\.\.\)"),
        ({"of": "mesh", "form": "full"}, UnknownNameError, "'form'"),
        ({"synthesis": "gates"}, UnknownNameError, "'synthesis'"),
        ({"depth": 3}, UnknownNameError, "'depth'"),
    ],
}
BOTH = [  # options of the memory and of its twin
    ({"merge": "epochs"}, UnknownNameError, "merge 'epochs'.*'epoch'"),
    ({"form": "full", "merge": "epoch"}, ConversionError, "`merge`"),
    ({"num_angles": 0}, ArgumentError, "`num_angles`.* 0"),
    ({"num_angles": 33}, ArgumentError, "`num_angles`.* 33"),
    ({"num_angles": 2.0}, ArgumentTypeError, "`num_angles`.* 2.0"),
    ({"num_angles": True}, ArgumentTypeError, "`num_angles`.* True"),
    ({"num_angles": 31, "form": "full"}, ConversionError, "`num_angles`.* 31"),
    ({"form": "full", "scale": {"0.weight": 1e-3}}, ConversionError, "`scale` .*`0.weight`"),
    ({"frozen": True}, ArgumentError, "`frozen`"),
    ({"frozen": 1}, ArgumentTypeError, "`frozen`.* 1"),
]
CASES = [
    *ARGUMENTS,
    *(({"bridge": b, **given}, *rest) for b, cases in OPTIONS.items() for given, *rest in cases),
    *(({"bridge": b, **given}, *rest) for b in ("memory", "twin") for given, *rest in BOTH),
    *(
        ({"bridge": b, "scale": scale}, *rest)
        for b in ("memory", "twin", "generator", "walsh-subspace")
        for scale, *rest in SCALES
    ),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("arguments", "error", "message"), CASES, ids=lambda a: str(a)[:60])
def test_unusable_arguments(arguments, error, message, aer_calls):
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))  # 32 weights
    with pytest.raises(error, match=message):
        ho.to_quantum(network, **arguments)
    assert aer_calls == []


CLASSICAL = {
    "tensor": (lambda: torch.ones(3), {}, ArgumentTypeError, "`network` .*Tensor"),
    "classical": (linear, {}, ConversionError, "`network` .*Linear"),
    "readout": (
        lambda: ho.to_quantum(linear()),
        {"readout": "angels"},
        UnknownNameError,
        "readout 'angels'.*'angles'",
    ),
    "readout type": (
        lambda: ho.to_quantum(linear()),
        {"readout": True},
        ArgumentTypeError,
        "readout.*True",
    ),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("kind", CLASSICAL)
def test_networks_without_a_classical_form(kind, aer_calls):
    make, options, error, message = CLASSICAL[kind]
    with pytest.raises(error, match=message):
        ho.to_classical(make(), **options)
    assert aer_calls == []


@pytest.mark.parametrize("bridge", BRIDGES)
def test_batch_sizes_below_one(bridge):
    with pytest.raises(ArgumentError, match=r"`batch_size`.* 0"):
        ho.to_quantum(linear(), bridge).step_cost(0)


def test_projections_larger_than_memory(aer_calls):
    with pytest.raises(ResourceError, match=r"7\.25 GB .*`num_parameters`"):
        ho.to_quantum(nn.Linear(300, 100), RandomSubspace())


@pytest.mark.parametrize("bridge", ["memory", "generator"])
def test_circuits_larger_than_memory(bridge, aer_calls):
    with pytest.raises(ResourceError, match="qubits"):
        ho.to_quantum(nn.Linear(100, 3), bridge, executor=ho.AerExecutor(max_memory=10_000))
    assert aer_calls == []


@pytest.mark.parametrize("bridge", ["mesh", "generator"])
def test_rules_that_the_executor_does_not_support(bridge, aer_calls):
    with pytest.raises(UnsupportedError, match="adjoint"):
        ho.to_quantum(linear(), bridge, executor=ho.AerExecutor(shots=9), gradient="adjoint")
    assert aer_calls == []
