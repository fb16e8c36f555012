"""Frozen parameters and statistics do not change in any mode; `unfreeze` undoes `freeze`."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm as spectral_norm_by_hook
from torch.nn.utils.parametrizations import spectral_norm

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from hybridopt.transfer import freeze, load_weights, unfreeze

X = torch.randn(12, 5, generator=torch.Generator().manual_seed(3))
Y = torch.arange(12) % 3


def body() -> nn.Sequential:
    """Return a network with every kind of layer that changes without a gradient."""
    torch.manual_seed(1)
    first = spectral_norm(nn.Linear(5, 6))
    vectors = first.parametrizations.weight[0]  # not at their fixed point
    vectors._u.copy_(torch.eye(6)[1])
    vectors._v.copy_(torch.eye(5)[2])
    return nn.Sequential(
        first,
        nn.BatchNorm1d(6),
        nn.Tanh(),
        spectral_norm_by_hook(nn.Linear(6, 6)),
        nn.BatchNorm1d(6, affine=False),
        nn.Unflatten(1, (2, 3)),
        nn.InstanceNorm1d(2, track_running_stats=True),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


def buffers(network: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: buffer.clone()
        for name, buffer in network.named_buffers()
        if "num_batches" not in name  # an InstanceNorm does not count batches
    }


def unchanged(network: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(network.get_buffer(name), kept) for name, kept in before.items())


def target() -> nn.Module:
    return ho.transfer(body().train(), num_outputs=3)


@pytest.mark.parametrize("copied", [lambda n: n, copy.deepcopy], ids=["itself", "copied"])
def test_frozen_statistics_in_train_mode(copied):
    network = copied(target()).train()
    assert not any(network[k].training for k in (1, 3, 4, 6))
    assert network[4].train() is network[4]
    before = buffers(network)
    assert len(before) == 2 * 5  # the test needs buffers
    features = nn.Sequential(*list(network)[:-1])
    expected = copy.deepcopy(network).eval()(X)
    for _ in range(3):
        network.train()
        torch.testing.assert_close(network(X), expected, rtol=0, atol=0)
        features(X)
    assert unchanged(network, before)


def test_pickled_network_stays_frozen():
    network = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 4))
    network = pickle.loads(pickle.dumps(ho.transfer(network))).train()
    before = buffers(network)
    network(X)
    assert unchanged(network, before)


def test_statistics_change_without_freezing():
    network = ho.transfer(body().train(), num_outputs=3, freeze="none").train()
    before = buffers(network)
    network(X)
    for name, kept in before.items():
        assert not torch.equal(network.get_buffer(name), kept), name


def test_fit_changes_only_the_head():
    network = target().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ho.fit(network, (X, Y), epochs=3, batch_size=5)
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"8.weight", "8.bias"}
    assert not network.training


def test_frozen_body_of_a_quantum_network():
    network = target()
    quantum = ho.to_quantum(network)
    before = buffers(quantum.network)
    ho.fit(quantum, (X, Y), epochs=2)
    assert unchanged(quantum.network, before)
    assert quantum.num_weights == 6 * 3 + 3
    again = ho.to_classical(quantum)
    ho.fit(again, (X, Y), epochs=1)
    assert torch.equal(again[1].running_mean, network[1].running_mean)


def test_dropout_of_a_frozen_body_is_active():
    network = nn.Sequential(nn.Linear(5, 50), nn.Dropout(0.5), nn.Linear(50, 3))
    network = ho.transfer(network).train()
    assert not torch.equal(network(X), network(X))


def test_unfreeze_undoes_freeze():
    network = body()
    network[8].bias.requires_grad_(False)
    before = {name: p.requires_grad for name, p in network.named_parameters()}
    freeze(network, ["0", "3", "4", "8"])
    freeze(network, ["8", "1.weight"])  # freezing twice has no effect
    assert [n for n, p in network.named_parameters() if p.requires_grad] == ["1.bias"]
    unfrozen = unfreeze(network)
    assert {name: p.requires_grad for name, p in network.named_parameters()} == before
    assert set(unfrozen) == set(before) - {"1.bias", "8.bias"}
    assert all(module.training for module in network.modules())
    start = buffers(network)
    network(X)
    assert all(not torch.equal(network.get_buffer(name), kept) for name, kept in start.items())
    assert unfreeze(network) == []


def test_unfreeze_of_a_part():
    network = target().train()
    assert unfreeze(network, ["1"]) == ["1.weight", "1.bias"]
    assert network[1].training
    assert not network[4].training
    assert unfreeze(network, ["3.bias"]) == ["3.bias"]
    before = buffers(network)
    network.train()(X)
    moved = {n[0] for n, kept in before.items() if not torch.equal(network.get_buffer(n), kept)}
    assert moved == {"1", "3"}


def test_statistics_change_while_a_parameter_is_trained():
    network = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 2))
    freeze(network, ["0.weight"])
    network.train()(X)
    assert network[0].training
    assert not torch.equal(network[0].running_mean, torch.zeros(5))
    freeze(network, ["0.bias"])  # now the whole layer is frozen
    before = buffers(network)
    network.train()(X)
    assert unchanged(network, before)


@pytest.mark.parametrize("names", ["body", [""]])
def test_module_that_contains_the_head_keeps_its_mode(names):
    network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    network.register_buffer("constant", torch.ones(2))
    network = ho.transfer(network, num_outputs=3, freeze="none")
    freeze(network, names)
    network.train()
    assert network.training


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["1.wieght"], UnknownNameError, r"'1\.weight'"),
        (["9"], UnknownNameError, "layer.*'9'"),
        (3, ArgumentTypeError, "`names`.* 3"),
        ([3], ArgumentTypeError, r"`names`.* \[3\]"),
        ("body", ArgumentError, "`network`.*Sequential"),
    ],
)
def test_wrong_names(names, error, message):
    network = body()
    with pytest.raises(error, match=message):
        freeze(network, names)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "use",
    [
        *(freeze, unfreeze, ho.transfer, lambda network: ho.parameter_groups(network, lr=0.1)),
        lambda network: load_weights(network, {}),
    ],
)
def test_network_must_be_a_module(use):
    with pytest.raises(ArgumentTypeError, match=r"`network`.* int"):
        use(3)
