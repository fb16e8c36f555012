from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError
from hybridopt.training.sanity_check import check_fit

X, Y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
ATTENTION = nn.TransformerEncoderLayer(4, 2, 5, batch_first=True)


class ByValue(nn.Module):
    """Network without a meta form: its path depends on the values."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x) if bool(x.sum() > -1e9) else x


class WithConstant(nn.Module):
    """Network with a plain tensor, which is not moved to the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.constant = torch.ones(3)

    def forward(self, x):
        return self.linear(x) + self.constant


def test_runs_nothing_and_changes_nothing(make_network, aer_calls):
    for network in (make_network(batch_norm=True), ho.to_quantum(make_network(batch_norm=True))):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        check_fit(network.train(), (X, Y), cross_entropy)
        assert torch.equal(torch.rand(1), expected)
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, before[name]), name
    assert aer_calls == []


def test_shared_modules_and_tied_weights():
    shared, tied = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), nn.Linear(3, 3)
    tied.weight = shared[0].weight
    network = nn.Sequential(shared, nn.Tanh(), shared, tied)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    check_fit(network, (X, Y), cross_entropy)
    assert tied.weight is shared[0].weight
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert ho.fit(network, (X, Y), epochs=1).status == "epochs"


@pytest.mark.parametrize("quantum", [False, True])
@pytest.mark.parametrize("make", [lambda: ByValue(nn.Linear(3, 3)), WithConstant])
def test_networks_without_a_meta_form(make, quantum, aer_calls):
    network = ho.to_quantum(make()) if quantum else make()
    check_fit(network, (X, Y), cross_entropy)
    with pytest.raises(DataError, match=r"`x`.*\(6, 2\)"):
        check_fit(network, (X[:, :2], Y), cross_entropy)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), torch.randn(6, 1, 4, 4)),
        (nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 3)), torch.ones(6, 2).long()),
        (nn.Sequential(ATTENTION, nn.Flatten(), nn.Linear(8, 3)), torch.randn(6, 2, 4)),
    ],
    ids=["convolution", "embedding", "attention"],
)
@pytest.mark.parametrize("quantum", [False, True])
def test_every_kind_of_network(network, x, quantum, aer_calls):
    check_fit(ho.to_quantum(network) if quantum else network, (x, Y), cross_entropy)
    assert aer_calls == []


def test_tokens_outside_the_vocabulary(aer_calls):
    network = ho.to_quantum(nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 3)))
    with pytest.raises(DataError, match=r"`x`.*\(6, 2\)"):
        check_fit(network, (torch.full((6, 2), 5), Y), cross_entropy)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("network", "y", "loss", "message"),
    [
        (nn.Linear(3, 2), Y, cross_entropy, "`y`.* 2 outputs"),
        (nn.Linear(3, 1), X, mse_loss, r"`y`.*\(6, 1\).*\(6, 3\)"),
        (nn.Linear(3, 3), X[:, :1], mse_loss, r"`y`.*\(6, 3\).*\(6, 1\)"),
        (nn.Linear(3, 3), X[:, :2], cross_entropy, r"`loss`.* \(6, 3\)"),
        (nn.LSTM(3, 3), Y, cross_entropy, "`network`.*tuple.*LSTM"),
    ],
)
def test_outputs_and_targets_that_do_not_fit(network, y, loss, message):
    with pytest.raises(DataError, match=message):
        check_fit(network, (X, y), loss)


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss])
def test_class_weights_that_do_not_fit(kind):
    network = nn.Linear(3, 3)
    check_fit(network, (X, Y), kind(weight=torch.ones(3)))
    with pytest.raises(DataError, match=r"`weight`.*float32.*float64"):
        check_fit(network, (X, Y), kind(weight=torch.ones(3, dtype=torch.float64)))
    with pytest.raises(DataError, match=r"`weight`.* 3 .* 2 "):
        check_fit(network, (X, Y), kind(weight=torch.ones(2)))


def test_loss_without_a_meta_form_is_accepted():
    def by_value(outputs, targets):
        return cross_entropy(outputs, targets) * float(outputs.sum() > -1e9)

    check_fit(nn.Linear(3, 3), (X, Y), by_value)


def test_our_errors_are_not_wrapped():
    def refusing(outputs, targets):
        raise ArgumentTypeError("our message")

    with pytest.raises(ArgumentTypeError, match="our message"):
        check_fit(nn.Linear(3, 3), (X, Y), refusing)
    with pytest.raises(ArgumentError, match=r"4.*3"):
        check_fit(ho.DressedCircuit(4, 3, 2, 1), (X, Y), cross_entropy)


@pytest.mark.parametrize(
    ("network", "data", "advice"),
    [
        (nn.Conv2d(1, 2, 3), (torch.rand(6, 8, 8), torch.rand(6, 2)), r"\(samples, 1, height"),
        (nn.Conv2d(3, 2, 3), (torch.rand(6, 8, 8, 3), torch.rand(6, 2)), r"\(samples, 3, height"),
        (nn.Linear(4, 2), (torch.zeros(6, 4).byte(), torch.zeros(6).long()), "x / 255"),
        (nn.Linear(4, 2), (torch.rand(6, 4), torch.rand(6)), r"y\.astype\(int\)"),
    ],
)
def test_the_way_from_images_and_labels_to_their_forms(network, data, advice):
    with pytest.raises(DataError, match=advice):
        ho.fit(network, data, epochs=1)
