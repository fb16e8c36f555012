"""What `to_quantum` and `to_classical` take, and what they refuse before anything runs."""

from __future__ import annotations

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
    UnknownNameError,
    UnsupportedError,
)

from .memories import moved


def with_weight(value: float) -> nn.Module:
    network = nn.Linear(3, 2)
    network.weight.data[1, 2] = value
    return network


def with_locked_door() -> nn.Module:
    network = nn.Linear(3, 2)
    network.lock = threading.Lock()
    return network


def of_integers() -> nn.Module:
    network = nn.Linear(3, 2)
    network.steps = nn.Parameter(torch.tensor([1, 2]), requires_grad=False)
    return network


def of_complex_numbers() -> nn.Module:
    network = nn.Module()
    network.phase = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    return network


def frozen_nan() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), with_weight(float("nan")).requires_grad_(False))


def of_eight_bits() -> nn.Module:  # torch cannot even tell whether these are finite
    network = nn.Linear(3, 2)
    network.weight = nn.Parameter(network.weight.data.to(torch.float8_e4m3fn))
    return network


def only_empty() -> nn.Module:
    network = nn.Module()
    network.empty = nn.Parameter(torch.empty(0, 3))
    return network


NETWORKS = {
    "a function": (lambda: torch.sin, ArgumentTypeError, "must be a torch.nn.Module, but is of"),
    "a class": (lambda: nn.Linear, ArgumentTypeError, "a torch.nn.Module, but is the class Linear"),
    "none": (lambda: None, ArgumentTypeError, "torch.nn.Module, but is of type NoneType"),
    "no parameters": (nn.ReLU, ConversionError, "ReLU has no parameters, so there is nothing"),
    "integers": (of_integers, ConversionError, "Parameter `steps` is torch.int64, but the weights"),
    "complex": (of_complex_numbers, ConversionError, "Parameter `phase` is torch.complex64, but"),
    "eight bits": (
        of_eight_bits,
        ConversionError,
        "Parameter `weight` is torch.float8_e4m3fn, but",
    ),
    "frozen": (
        lambda: nn.Linear(3, 2).requires_grad_(False),
        ConversionError,
        "All parameters of the network are frozen (requires_grad=False)",
    ),
    "empty": (only_empty, ConversionError, "no angle could be trained"),
    "nan": (
        lambda: nn.Sequential(with_weight(float("nan"))),
        ConversionError,
        "Parameter `0.weight` has 1 values that are NaN or infinite",
    ),
    "infinite": (lambda: with_weight(float("-inf")), ConversionError, "`weight` has 1 values that"),
    "frozen nan": (frozen_nan, ConversionError, "`1.weight` has 1 values that are NaN"),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(2)),
        ConversionError,
        "Parameter `0.weight` has no shape yet. Run the lazy network on one batch first",
    ),
    "meta": (
        lambda: nn.Linear(3, 2, device="meta"),
        ConversionError,
        "Parameter `weight` is on the meta device and has no values",
    ),
    "not copyable": (
        with_locked_door,
        ConversionError,
        "Linear cannot be copied (cannot pickle '_thread.lock' object)",
    ),
    "quantum": (
        lambda: ho.to_quantum(nn.Linear(3, 2)),
        ConversionError,
        "contains a circuit already. Carry it back with `to_classical` first",
    ),
    "quantum inside": (
        lambda: nn.Sequential(nn.Linear(3, 3), ho.to_quantum(nn.Linear(3, 2))),
        ConversionError,
        "contains a circuit already",
    ),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("bridge", list(BRIDGES))
@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_without_a_circuit_form_are_refused(kind, bridge, aer_calls):
    make, error, message = NETWORKS[kind]
    with pytest.raises(error) as caught:
        ho.to_quantum(make(), bridge)
    assert message in str(caught.value)
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


ARGUMENTS = {
    "bridge": (
        {"bridge": "memry"},
        UnknownNameError,
        "'memry'. Did you mean 'memory'? Known: memory",
    ),
    "bridge type": ({"bridge": Memory}, ArgumentTypeError, "bridge must be given by name, but is"),
    "no bridge": ({"bridge": None}, ArgumentTypeError, "bridge must be given by name, but is None"),
    "option": ({"synthesys": "gates"}, UnknownNameError, "'synthesys'. Did you mean 'synthesis'"),
    "option beside": (
        {"bridge": Memory(), "form": "full"},
        ArgumentError,
        "Options form were given beside an instance of a bridge. Set them on the instance: Memory",
    ),
    "gradient": ({"gradient": "shift"}, UnknownNameError, "Did you mean 'parameter-shift'"),
    "gradient type": ({"gradient": None}, ArgumentTypeError, "`gradient` must be one of"),
    "adjoint": (
        {"gradient": "adjoint"},
        UnsupportedError,
        'takes gradient="parameter-shift" only, but was given "adjoint"',
    ),
    "spsa": ({"gradient": "spsa"}, UnsupportedError, 'but was given "spsa"'),
    "executor": (
        {"executor": "aer"},
        ArgumentTypeError,
        "such as AerExecutor(), but is of type str",
    ),
    "executor class": (
        {"executor": ho.AerExecutor},
        ArgumentTypeError,
        "Argument `executor` must be an executor such as AerExecutor(), but is the class",
    ),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_unusable_arguments_are_refused(kind, aer_calls):
    arguments, error, message = ARGUMENTS[kind]
    with pytest.raises(error) as caught:
        ho.to_quantum(nn.Linear(3, 2), **arguments)
    assert message in str(caught.value)
    assert aer_calls == []


CLASSICAL = {
    "a tensor": (
        lambda: torch.ones(3),
        {},
        ArgumentTypeError,
        "quantum network, but is of type Tensor",
    ),
    "classical": (
        lambda: nn.Linear(3, 2),
        {},
        ConversionError,
        "Linear contains no circuit, so it is classical already. Make a quantum network with",
    ),
    "readout": (
        lambda: ho.to_quantum(nn.Linear(3, 2)),
        {"readout": "angels"},
        UnknownNameError,
        "Unknown readout 'angels'. Did you mean 'angles'? Known: angles, circuit",
    ),
    "readout type": (
        lambda: ho.to_quantum(nn.Linear(3, 2)),
        {"readout": True},
        ArgumentTypeError,
        "The readout must be given by name, but is True",
    ),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("kind", CLASSICAL)
def test_what_is_not_quantum_is_refused(kind, aer_calls):
    make, options, error, message = CLASSICAL[kind]
    with pytest.raises(error) as caught:
        ho.to_classical(make(), **options)
    assert message in str(caught.value)
    assert aer_calls == []


@pytest.mark.parametrize("name", list(BRIDGES))
def test_bridges_are_known_by_name_and_as_instances(name):
    by_name, instance = ho.to_quantum(nn.Linear(3, 2), name), BRIDGES[name]()
    assert by_name.bridge_name == instance.name == name
    assert type(ho.to_quantum(nn.Linear(3, 2), instance)) is type(by_name)


def test_options_by_name_are_those_of_the_instance():
    options = {"form": "full", "scale": 3.0}
    assert ho.to_quantum(nn.Linear(3, 2), "memory", **options).options == Memory(**options)
    # a twin keeps the options of the bridge that it is of
    assert ho.to_quantum(nn.Linear(3, 2), "twin", **options).options == Memory(**options)
    assert ho.to_quantum(nn.Linear(3, 2), "twin", **options).bridge == Twin(**options)
    subspace = ho.to_quantum(nn.Linear(3, 2), "random-subspace", num_parameters=3)
    assert subspace.options == RandomSubspace(num_parameters=3)


def test_the_given_executor_is_used():
    executor = ho.AerExecutor(shots=5, seed=1)
    assert ho.to_quantum(nn.Linear(3, 2), executor=executor).executor is executor
    assert ho.to_quantum(nn.Linear(3, 2)).executor.shots is None


def test_layers_carried_over_alone_come_back_inside_their_network():
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
def test_a_layer_at_two_places_comes_back_as_one(nested):
    layer = moved(ho.to_quantum(nn.Linear(3, 3)))
    places = [nn.Sequential(layer), nn.Sequential(layer)] if nested else [layer, layer]
    classical = ho.to_classical(nn.Sequential(*places))
    assert not any(isinstance(module, ho.QuantumNetwork) for module in classical.modules())
    weights = [p for _, p in classical.named_parameters(remove_duplicate=False)]
    assert weights[0] is weights[2]
    assert sum(1 for _ in classical.parameters()) == 2


def test_gradients_flow_through_a_layer_to_those_before_it():
    torch.manual_seed(4)
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    hybrid = nn.Sequential(network[0], network[1], ho.to_quantum(network[2]))
    x = torch.randn(4, 3).double()
    hybrid(x).square().sum().backward()
    through_circuit = network[0].weight.grad.clone()
    network.zero_grad()
    network(x).square().sum().backward()
    torch.testing.assert_close(through_circuit, network[0].weight.grad, rtol=0, atol=1e-12)
