"""Bad input: each is refused by a sentence, and no circuit runs before it."""

from __future__ import annotations

import copy
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
    HybridOptError,
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


def refused(network, error, message, data=(X, Y), **arguments):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(error, match=message) as caught:
        ho.fit(network, data, **arguments)
    assert isinstance(caught.value, HybridOptError)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((with_value(X, 4, NAN), Y), r"`x` must be finite.*3 NaN or infinite values.* row 4"),
        ((with_value(X, 21, -INF), Y), r"`x` must be finite.*row 21"),
        ((X, with_value(X, 2, INF)), r"`y` must be finite.*row 2"),
        ((X[:, :2], Y), r"cannot take x of shape \(8, 2\).*first layer takes"),
        ((X[:, 0], Y), r"`x` must have shape \(samples, features\)"),
        ((X, Y[:-1]), r"equal length, but have 22 and 21 rows"),
        ((X, with_value(Y, 0, 3)), r"Labels must be 0 to 2.*3 outputs.* 3"),
        ((X, with_value(Y, 21, 7)), r"Labels must be 0 to 2.*3 outputs.* 7"),
        ((X, with_value(Y, 5, -1)), r"`y` must hold labels of 0 or more, but row 5 holds -1"),
        ((X[:0], Y[:0]), r"`x` must hold at least one sample, but is empty"),
        (([], []), r"`x` must hold at least one sample, but is empty"),
        ((X.long(), Y), r"cannot take x of shape \(8, 3\).*pass features as floats"),
        ((X.to(torch.complex64), Y), r"`x` must hold real numbers.*complex64"),
        ((X, Y, Y), r"A pair \(x, y\) must have two members, but the tuple has 3"),
        (TensorDataset(X), r"two members, but the TensorDataset has 1"),
    ],
)
def test_samples(data, message, make_quantum, aer_calls):
    # a batch of 8 sees row 21 only after circuits have run, were it not looked at before
    refused(make_quantum(), DataError, message, data, batch_size=8)
    assert aer_calls == []


def test_labels_outside_the_outputs_in_the_test_part(data, make_quantum, aer_calls):
    labels = with_value(data.test.y, 3, 3)
    test = ho.Dataset(
        "tiny", "classification", data.train, type(data.test)(data.test.x, labels), num_classes=4
    )
    refused(make_quantum(), DataError, r"Labels must be 0 to 2", test)
    assert aer_calls == []


def test_something_that_holds_no_samples(make_quantum, aer_calls):
    refused(make_quantum(), ArgumentTypeError, "`data` must be a Dataset, a pair", "digits")
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ArgumentError, "`batch_size` must be 1 or more, but is 0"),
        ({"batch_size": -1}, ArgumentError, "`batch_size` must be 1 or more, but is -1"),
        ({"batch_size": 1.5}, ArgumentTypeError, "`batch_size` must be an int, but is 1.5"),
        ({"batch_size": True}, ArgumentTypeError, "`batch_size` must be an int, but is True"),
        ({"batch_size": "many"}, ArgumentError, '`batch_size` must be "auto", None .* \'many\''),
        ({"optimizer": "gd", "batch_size": 8}, ArgumentError, 'optimizer="gd" uses all samples'),
        ({"epochs": -1}, ArgumentError, "`epochs` must be 0 or more, but is -1"),
        ({"epochs": 1.0}, ArgumentTypeError, "`epochs` must be an int, but is 1.0"),
        ({"epochs": True}, ArgumentTypeError, "`epochs` must be an int, but is True"),
        ({"lr": NAN}, ArgumentError, "`lr` must be finite, but is nan"),
        ({"lr": INF}, ArgumentError, "`lr` must be finite, but is inf"),
        ({"lr": -0.1}, ArgumentError, "`lr` must be more than 0, but is -0.1"),
        ({"lr": 0}, ArgumentError, "`lr` must be more than 0, but is 0"),
        ({"lr": True}, ArgumentTypeError, "`lr` must be a number, but is True"),
        ({"lr": "a"}, ArgumentTypeError, "`lr` must be a number, but is 'a'"),
        ({"lr": "AUTO"}, ArgumentTypeError, "is 'AUTO'. The one word .* is \"auto\""),
        ({"seed": 0.5}, ArgumentTypeError, "`seed` must be an int, but is 0.5"),
        ({"seed": "0"}, ArgumentTypeError, "`seed` must be an int, but is '0'"),
        ({"seed": True}, ArgumentTypeError, "`seed` must be an int, but is True"),
        ({"seed": -1}, ArgumentError, "`seed` must be 0 or more, but is -1"),
        ({"optimizer": "adma"}, UnknownNameError, "'adma'. Did you mean .*'adam'"),
        ({"optimizer": None}, ArgumentTypeError, "optimizer must be given by name"),
        ({"optimizer": torch.optim.Adam}, ArgumentTypeError, "optimizer must be given by name"),
        ({"momentum": 0.9}, UnknownNameError, "'adam' takes no keyword argument 'momentum'"),
        ({"tol": -1.0}, ArgumentError, "`tol` must be 0 or more, but is -1"),
        ({"tol": NAN}, ArgumentError, "`tol` must be finite"),
        ({"tol": "a"}, ArgumentTypeError, "`tol` must be a number"),
        ({"patience": 0}, ArgumentError, "`patience` must be 1 or more, but is 0"),
        ({"patience": 1.5}, ArgumentTypeError, "`patience` must be an int"),
        ({"callbacks": [3]}, ArgumentTypeError, "`callbacks` must be a list of functions"),
        ({"callbacks": print}, ArgumentTypeError, "`callbacks` must be a list of functions"),
        ({"loss": "mse"}, ArgumentTypeError, "`loss` must be a torch loss module or a function"),
        ({"loss": nn.MSELoss}, ArgumentTypeError, "`loss` must be a torch loss module"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, ArgumentTypeError,
         r"must return one number, but returned shape \(22,\)"),
        ({"loss": lambda outputs, targets: 0.5}, ArgumentTypeError,
         "must return one number, but returned float"),
        ({"device": "cup"}, UnknownNameError, "'cup'. Did you mean 'cpu'"),
        ({"progress": 2}, ArgumentTypeError, "`progress` must be True, False or a label"),
        ({"checkpoint": 3}, ArgumentTypeError, "`checkpoint` must be"),
    ],
)  # fmt: skip
def test_arguments(arguments, error, message, make_quantum, aer_calls):
    refused(make_quantum(), error, message, **arguments)
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (lambda x: x, ArgumentTypeError, "must be a torch.nn.Module, but is of type function"),
        (nn.Linear, ArgumentTypeError, "must be a torch.nn.Module, but is the class Linear itself"),
        (None, ArgumentTypeError, "must be a torch.nn.Module, but is of type NoneType"),
        (nn.Linear(3, 3, device="meta"), ArgumentError, "is on the meta device and has no values"),
        (nn.Tanh(), ArgumentError, "Tanh has no parameters, so there is nothing to train"),
        (nn.Linear(3, 3).requires_grad_(False), ArgumentError, "Linear has frozen parameters only"),
        (nn.LazyLinear(3), ArgumentError, "`weight`.*no shape yet"),
        (nn.ParameterList([torch.ones(3, dtype=torch.complex64)]), ArgumentError, "complex"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_networks(network, error, message):
    with pytest.raises(error, match=message) as caught:
        ho.fit(network, (X, Y))
    assert isinstance(caught.value, HybridOptError)


@pytest.mark.parametrize("value", [NAN, INF])
def test_weights_that_are_not_finite(value, make_network):
    network = make_network()
    with torch.no_grad():
        network[2].bias[1] = value
    with pytest.raises(ArgumentError, match=r"`2.bias` of the network is NaN or infinite"):
        ho.fit(network, (X, Y))


def test_no_gradients(make_quantum, aer_calls):
    network = make_quantum()
    with torch.no_grad():
        refused(network, TrainingError, r"outside of `torch.no_grad\(\)`", optimizer="adam")
        assert ho.fit(network, (X, Y), epochs=0).status == "epochs"
    assert aer_calls == []


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "newton"])
def test_inference_mode_ends_nowhere_but_at_its_end(optimizer, make_quantum, aer_calls):
    with torch.inference_mode(), torch.enable_grad():
        refused(make_quantum(), TrainingError, r"`torch.inference_mode\(\)`", optimizer=optimizer)
    assert aer_calls == []


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton"])
def test_optimizers_that_ask_for_gradients_train_without_being_given_any(optimizer, make_network):
    network = make_network()
    before = [p.detach().clone() for p in network.parameters()]
    with torch.no_grad():
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=1)
    pairs = zip(network.parameters(), before, strict=True)
    assert all(not torch.equal(now, then) for now, then in pairs)


def test_an_optimizer_of_another_network(make_network, make_quantum, aer_calls):
    network = make_network()
    before_conversion = torch.optim.Adam(network.parameters())
    with pytest.raises(ArgumentError, match=r"made from .*those of the network before its conver"):
        ho.fit(ho.to_quantum(network), (X, Y), optimizer=before_conversion)
    assert aer_calls == []


@pytest.mark.parametrize("loss", [None, nn.MSELoss(), nn.L1Loss()])
@pytest.mark.parametrize(("num_outputs", "num_targets"), [(1, 2), (2, 1)])
def test_outputs_that_would_broadcast(loss, num_outputs, num_targets, make_quantum, aer_calls):
    network = make_quantum(num_outputs=num_outputs)
    pattern = rf"returns shape \(22, {num_outputs}\), but the targets have .*\(22, {num_targets}\)"
    refused(network, DataError, pattern, (X, X[:, :num_targets]), loss=loss)
    assert aer_calls == []


def test_outputs_without_a_column_would_broadcast(make_network, aer_calls):
    network = nn.Sequential(make_network(1), nn.Flatten(0))
    pattern = r"returns shape \(22,\), but the targets have shape \(22, 1\)"
    refused(ho.to_quantum(network), DataError, pattern, (X, X[:, 0]))
    assert aer_calls == []


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss()])
def test_whole_numbers_as_regression_targets_would_broadcast(loss, make_quantum, aer_calls):
    refused(make_quantum(num_outputs=1), DataError, "float", (X, Y), loss=loss)
    assert aer_calls == []


def test_a_last_batch_that_is_too_small_for_its_normalisation(make_network, aer_calls):
    network = ho.to_quantum(make_network(batch_norm=True))
    refused(network, DataError, r"x of shape \(1, 3\).*normalisation", batch_size=7)
    assert aer_calls == []


def test_a_network_that_returns_no_tensor(aer_calls):
    network = ho.to_quantum(nn.LSTM(3, 3))
    refused(network, DataError, "must return one tensor, but WeightNetwork returned tuple")
    assert aer_calls == []


@pytest.mark.parametrize(
    ("loader", "arguments", "error", "message"),
    [
        (DataLoader(TensorDataset(X, Y)), {"batch_size": 4}, ArgumentError, "must be left out"),
        (DataLoader(TensorDataset(X, Y), batch_size=8), {"optimizer": "gd"}, ArgumentError,
         "the DataLoader has 3 batches"),
        (DataLoader(TensorDataset(X)), {}, DataError, r"must yield pairs \(x, y\)"),
        (DataLoader(X), {}, DataError, r"must yield pairs \(x, y\), but yielded Tensor"),
        (DataLoader(TensorDataset(X[:0], Y[:0])), {}, DataError, "yields no batch"),
        (DataLoader(TensorDataset(X[:, :2], Y)), {}, DataError, r"cannot take x of shape \(1, 2\)"),
        (DataLoader(TensorDataset(with_value(X, 0, NAN), Y)), {}, DataError, "`x` must be finite"),
    ],
)  # fmt: skip
def test_loaders(loader, arguments, error, message, make_quantum, aer_calls):
    refused(make_quantum(), error, message, loader, **arguments)
    assert aer_calls == []


def test_the_data_is_not_changed(data, make_quantum):
    before = copy.deepcopy(data.train.x), copy.deepcopy(data.train.y)
    ho.fit(make_quantum(), (data.train.x, data.train.y), epochs=1, batch_size=5)
    assert torch.equal(data.train.x, before[0])
    assert torch.equal(data.train.y, before[1])
