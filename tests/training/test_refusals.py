"""Bad input raises our errors before a circuit runs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DeviceError,
    TrainingError,
    UnknownNameError,
)

X = torch.randn(22, 3, generator=torch.Generator().manual_seed(1))
Y = torch.arange(22) % 3
NAN, INF = math.nan, math.inf


def with_value(tensor: torch.Tensor, row: int, value: float) -> torch.Tensor:
    changed = tensor.clone()
    changed[row] = value
    return changed


@pytest.fixture
def refused(aer_calls):
    """Assertion that `fit` raises an error, runs no circuit and changes no weight."""

    def check(network, error, message, data=(X, Y), **arguments):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with pytest.raises(error, match=message):
            ho.fit(network, data, **arguments)
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        assert aer_calls == []

    return check


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((with_value(X, 4, NAN), Y), r"`x`.* row 4"),
        ((with_value(X, 21, -INF), Y), r"`x`.* row 21"),
        ((X, with_value(X, 2, INF)), r"`y`.* row 2"),
        ((X[:, :2], Y), r"`x`.*\(8, 2\)"),
        ((X[:, 0], Y), r"`x`.*samples"),
        ((X, Y[:-1]), r"22.*21"),
        ((X, with_value(Y, 21, 7)), r"`y`.* 7"),
        ((X, with_value(Y, 5, -1)), r"`y`.* -1"),
        (([], []), r"`x`"),
        ((X.long(), Y), r"`x`.*\(8, 3\).*int64"),
        ((X.to(torch.complex64), Y), r"`x`.*complex64"),
        ((X, X, Y, Y), r"\(x, y\).* 4"),
        (TensorDataset(X), r"1.*TensorDataset"),
        ((X, Y, X), r"`sample_weight`.*\(22, 3\)"),
        ((X, Y, with_value(X[:, 0].abs(), 4, -1)), r"`sample_weight`.*row 4.* -1"),
        ((X, Y, Y[:-1]), r"`sample_weight`.*21.*22"),
        ((X, Y, 0 * Y), r"`train.sample_weight`.* 22 zeros"),
    ],
)
def test_samples(data, message, make_quantum, refused):
    # row 21 is outside the first batch of 8: it must be checked before circuits run
    refused(make_quantum(), DataError, message, data, batch_size=8)


def test_labels_outside_the_outputs_in_the_test_part(data, make_quantum, refused):
    labels = with_value(data.test.y, 3, 3)
    test = ho.Dataset(
        "tiny", "classification", data.train, type(data.test)(data.test.x, labels), num_classes=4
    )
    refused(make_quantum(), DataError, r"`y`.* 3", test)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "digits"}, ArgumentTypeError, "`data`"),
        ({"batch_size": 0}, ArgumentError, "`batch_size`.* 0"),
        ({"batch_size": 1.5}, ArgumentTypeError, "`batch_size`.* 1.5"),
        ({"batch_size": True}, ArgumentTypeError, "`batch_size`.* True"),
        ({"batch_size": "many"}, ArgumentError, "`batch_size`.* 'many'"),
        ({"optimizer": "gd", "batch_size": 8}, ArgumentError, "`batch_size`.* 8"),
        ({"epochs": -1}, ArgumentError, "`epochs`.* -1"),
        ({"epochs": 1.0}, ArgumentTypeError, "`epochs`.* 1.0"),
        ({"lr": NAN}, ArgumentError, "`lr`.* nan"),
        ({"lr": 0}, ArgumentError, "`lr`.* 0"),
        ({"lr": True}, ArgumentTypeError, "`lr`.* True"),
        ({"lr": "AUTO"}, ArgumentTypeError, "`lr`.* 'AUTO'"),
        ({"seed": "0"}, ArgumentTypeError, "`seed`.* '0'"),
        ({"seed": -1}, ArgumentError, "`seed`.* -1"),
        ({"optimizer": "adma"}, UnknownNameError, "'adma'.*'adam'"),
        ({"optimizer": torch.optim.Adam}, ArgumentTypeError, "optimizer"),
        ({"momentum": 0.9}, UnknownNameError, "'adam'.*'momentum'"),
        ({"betas": (2, 3)}, ArgumentError, "'adam'.* beta"),
        ({"tol": -1.0}, ArgumentError, "`tol`.* -1"),
        ({"tol": NAN}, ArgumentError, "`tol`.* nan"),
        ({"patience": 0}, ArgumentError, "`patience`.* 0"),
        ({"loss": "mse"}, ArgumentTypeError, "`loss`.*mse"),
        ({"loss": nn.MSELoss}, ArgumentTypeError, "`loss`.*MSELoss"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, ArgumentTypeError, r"`loss`.* \(22,\)"),
        ({"loss": lambda outputs, targets: 0.5}, ArgumentTypeError, "`loss`.* float"),
        ({"loss": lambda outputs, targets: outputs.detach().sum()}, DataError, "`loss`.*`detach"),
        ({"device": "cup"}, UnknownNameError, "'cup'.*'cpu'"),
        ({"device": "cpu:x"}, DeviceError, '`device`.*"cpu:x"'),
        ({"checkpoint": 3}, ArgumentTypeError, "`checkpoint`"),
    ],
)
def test_arguments(arguments, error, message, make_quantum, refused):
    refused(make_quantum(), error, message, **arguments)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (lambda x: x, ArgumentTypeError, "`network`.*function"),
        (nn.Linear, ArgumentTypeError, "`network`.*class Linear"),
        (nn.Linear(3, 3, device="meta"), ArgumentError, "`weight`.*meta"),
        (nn.Tanh(), ArgumentError, "`network`.*Tanh with no"),
        (nn.Linear(3, 3).requires_grad_(False), ArgumentError, "`network`.*Linear with frozen"),
        (nn.LazyLinear(3), ArgumentError, "`weight`"),
        (
            nn.ParameterList([torch.ones(3, dtype=torch.complex64)]),
            ArgumentError,
            "`network`.*complex",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_networks(network, error, message):
    with pytest.raises(error, match=message):
        ho.fit(network, (X, Y))


@pytest.mark.parametrize("value", [NAN, INF])
def test_infinite_weights(value, make_network):
    network = make_network()
    with torch.no_grad():
        network[2].bias[1] = value
    with pytest.raises(ArgumentError, match=r"`2.bias`"):
        ho.fit(network, (X, Y))


def test_no_gradients(make_quantum, refused):
    network = make_quantum()
    with torch.no_grad():
        refused(network, TrainingError, r"`torch.no_grad\(\)`", optimizer="adam")
        assert ho.fit(network, (X, Y), epochs=0).status == "epochs"
    for optimizer in ("adam", "lbfgs", "newton"):
        with torch.inference_mode(), torch.enable_grad():
            network = make_quantum()
            refused(network, TrainingError, r"`torch.inference_mode\(\)`", optimizer=optimizer)


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton"])
def test_closure_optimizers_enable_gradients(optimizer, make_network):
    network = make_network()
    before = [p.detach().clone() for p in network.parameters()]
    with torch.no_grad():
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=1)
    pairs = zip(network.parameters(), before, strict=True)
    assert all(not torch.equal(now, then) for now, then in pairs)


def test_optimizer_of_another_network(make_network, refused):
    network = make_network()
    before_conversion = torch.optim.Adam(network.parameters())
    quantum = ho.to_quantum(network)
    refused(quantum, ArgumentError, "`optimizer`.*Adam", optimizer=before_conversion)


@pytest.mark.parametrize("loss", [None, nn.MSELoss(), nn.L1Loss()])
@pytest.mark.parametrize(("num_outputs", "num_targets"), [(1, 2), (2, 1)])
def test_outputs_that_would_broadcast(loss, num_outputs, num_targets, make_quantum, refused):
    network = make_quantum(num_outputs=num_outputs)
    pattern = rf"`y`.*\(22, {num_outputs}\).*\(22, {num_targets}\)"
    refused(network, DataError, pattern, (X, X[:, :num_targets]), loss=loss)


def test_outputs_without_a_column_would_broadcast(make_network, refused):
    network = nn.Sequential(make_network(1), nn.Flatten(0))
    refused(ho.to_quantum(network), DataError, r"`y`.*\(22,\).*\(22, 1\)", (X, X[:, 0]))


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss()])
def test_integer_targets_of_a_regression(loss, make_quantum, refused):
    refused(make_quantum(num_outputs=1), DataError, "`y`.*int64", (X, Y), loss=loss)


def test_last_batch_too_small_for_a_normalisation(make_network, refused):
    network = ho.to_quantum(make_network(batch_norm=True))
    refused(network, DataError, r"`x`.*\(1, 3\)", batch_size=7)


def test_network_must_return_a_tensor(refused):
    refused(ho.to_quantum(nn.LSTM(3, 3)), DataError, "`network`.*tuple.*WeightNetwork")


@pytest.mark.parametrize(
    ("loader", "arguments", "error", "message"),
    [
        (DataLoader(TensorDataset(X, Y)), {"batch_size": 4}, ArgumentError, "`batch_size`"),
        (DataLoader(TensorDataset(X, Y), batch_size=8), {"optimizer": "gd"}, ArgumentError,
         "DataLoader with 3"),
        (DataLoader(TensorDataset(X)), {}, DataError, "`data`.*list"),
        (DataLoader(X), {}, DataError, "`data`.*Tensor"),
        (DataLoader(TensorDataset(X[:0], Y[:0])), {}, DataError, "`data`.*batch"),
        (DataLoader(TensorDataset(X[:, :2], Y)), {}, DataError, r"`x`.*\(1, 2\)"),
    ],
)  # fmt: skip
def test_loaders(loader, arguments, error, message, make_quantum, refused):
    refused(make_quantum(), error, message, loader, **arguments)
