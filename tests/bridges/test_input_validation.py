"""Inputs that a network cannot take are rejected before a circuit is run."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.errors import DataError

BRIDGES = ("memory", "generator", "twin", "random-subspace", "walsh-subspace")


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))


class Words(nn.Module):
    """Network of tokens with a range that no shape shows."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.words(x).mean(1))


class Pair(nn.Module):
    """Network with positional and keyword inputs, and a branch that depends on data."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 2), nn.Linear(2, 2)

    def forward(self, x, *, more):
        if more["y"].sum() > 0:
            return self.first(x) + self.second(more["y"])
        return self.first(x)


UNFIT = {
    "narrow": (torch.rand(7, 2), r"tensor of shape \(7, 2\) and float32\)\. .*shapes"),
    "double": (torch.rand(7, 4, dtype=torch.float64), "float64"),
    "integers": (torch.ones(7, 4, dtype=torch.int64), "int64"),
    "text": ("four", "a str"),
    "list": ([[0.1, 0.2, 0.3, 0.4]], "a list"),
    "None": (None, "a NoneType"),
}


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("kind", UNFIT)
def test_unfit_inputs_are_named(bridge, kind, aer_calls):
    x, shown = UNFIT[kind]
    quantum = ho.to_quantum(mlp(), bridge)
    with pytest.raises(DataError, match=f"Inputs of Sequential .*{shown}"):
        quantum(x)
    with pytest.raises(DataError, match="no input"):
        quantum()
    assert aer_calls == []


def test_ranges_of_tokens_are_checked(aer_calls):
    quantum = ho.to_quantum(Words())
    assert quantum(torch.tensor([[0, 5, 2]])).shape == (1, 2)
    aer_calls.clear()
    with pytest.raises(DataError, match="Inputs of Words"):
        ho.to_quantum(Words())(torch.tensor([[0, 6, 2]]))
    assert aer_calls == []


def test_keyword_inputs_are_checked(aer_calls):
    plain, x, y = Pair(), torch.rand(5, 3), torch.rand(5, 2)
    quantum = ho.to_quantum(plain)
    torch.testing.assert_close(quantum(x, more={"y": y}), plain(x, more={"y": y}))
    torch.testing.assert_close(quantum(x, more={"y": -y}), plain(x, more={"y": -y}))
    aer_calls.clear()
    with pytest.raises(DataError, match="Inputs of Pair"):
        quantum(x, more={"y": torch.rand(5, 4)})
    assert aer_calls == []


def test_each_kind_is_tried_once_without_a_change():
    quantum = ho.to_quantum(mlp())
    tried = []
    plain_copy = quantum._plain_copy
    quantum._plain_copy = lambda: tried.append(1) or plain_copy()
    torch.manual_seed(3)
    expected = torch.rand(1)
    before = quantum.network[1].running_mean.clone()
    with pytest.raises(DataError):
        quantum(torch.rand(7, 2))
    assert torch.equal(quantum.network[1].running_mean, before)
    tried.clear()
    quantum(torch.ones(7, 4))
    quantum(torch.ones(9, 4))
    assert tried == [1]
    assert int(quantum.network[1].num_batches_tracked) == 2
    torch.manual_seed(3)
    quantum(torch.ones(2, 3, 4)[:, 0])
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q))])
def test_copies_try_inputs_again(copied, monkeypatch):
    quantum = ho.to_quantum(nn.Linear(4, 3))
    x = torch.rand(2, 4)
    expected = quantum(x)
    tried, plain = [], WeightNetwork._plain_copy
    monkeypatch.setattr(WeightNetwork, "_plain_copy", lambda q: tried.append(1) or plain(q))
    again = copied(quantum)
    assert torch.equal(again(x), expected)
    assert tried == [1]
    with pytest.raises(DataError, match="Inputs of Linear"):
        again(x[:, :2])


def test_circuit_layers_in_the_network_are_not_run(aer_calls):
    head = ho.DressedCircuit(4, 3, num_qubits=2, depth=1)
    quantum = ho.to_quantum(nn.Sequential(nn.Linear(4, 4), head))
    spent = quantum.network[1].layer.executor.usage
    aer_calls.clear()
    with pytest.raises(DataError, match="Inputs of Sequential"):
        quantum(torch.rand(5, 3))
    assert aer_calls == []
    quantum(torch.rand(5, 4))
    assert (quantum.network[1].layer.executor.usage - spent).settings == 5
