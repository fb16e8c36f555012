"""What would train nothing, or another network's run, is refused in words of ours."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    CheckpointError,
    ConversionError,
    DataError,
    DeviceError,
    TrainingError,
)


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.weights = [self.layer.weight]

    def forward(self, x):
        return x @ self.weights[0].T


def test_weights_outside_the_modules_are_noticed(data):
    with pytest.raises(TrainingError, match="depends on no trained parameter"):
        ho.fit(ho.to_quantum(Hidden()), data, epochs=1)


@pytest.mark.parametrize(
    "other",
    [
        lambda net: ho.to_quantum(net, bridge="twin"),
        lambda net: ho.to_quantum(net, form="full"),
        lambda net: ho.to_quantum(net, merge="epoch"),
    ],
    ids=["twin", "full", "folded"],
)
def test_checkpoint_of_another_way_to_carry_is_refused(other, data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    ho.fit(ho.to_quantum(make_network()), data, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match="belongs to another network"):
        ho.fit(other(make_network()), data, epochs=2, checkpoint=path)


def test_checkpoint_of_another_loss_is_refused(data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match="loss="):
        ho.fit(make_network(), data, epochs=2, checkpoint=path, loss=nn.MultiMarginLoss())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"betas": (2, 3)}, ArgumentError, "Optimizer 'adam' refuses its options: Invalid beta"),
        ({"device": "cpu:x"}, DeviceError, 'device="cpu:x", but torch finds no such'),
        ({"loss": lambda o, t: o.detach().sum()}, DataError, "The loss cannot be differentiated"),
    ],
    ids=["betas", "device", "loss"],
)
def test_refused_before_a_circuit_runs(arguments, error, message, data, make_network, aer_calls):
    with pytest.raises(error, match=re.escape(message)):
        ho.fit(ho.to_quantum(make_network()), data, epochs=1, **arguments)
    assert aer_calls == []


def test_a_batch_larger_than_the_data_is_all_of_it(data, make_network):
    a, b = make_network(), make_network()
    ho.fit(a, data, epochs=1, batch_size=10**30)
    ho.fit(b, data, epochs=1, batch_size=len(data.train))
    assert torch.equal(a[0].weight, b[0].weight)


def test_sparse_layers_and_nan_buffers_are_refused_by_name():
    with pytest.raises(ConversionError, match="Layer `0` asks for sparse gradients"):
        ho.to_quantum(nn.Sequential(nn.Embedding(5, 2, sparse=True)))
    norm = nn.Sequential(nn.BatchNorm1d(2))
    norm[0].running_mean.fill_(float("nan"))
    with pytest.raises(ConversionError, match=re.escape("Buffer `0.running_mean` holds NaN")):
        ho.to_quantum(norm)
