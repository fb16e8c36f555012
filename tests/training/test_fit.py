from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    UnknownNameError,
)
from hybridopt.optim import OPTIMIZERS, Newton

NAMES = tuple(OPTIMIZERS)
BRIDGES = ("memory", "twin", "random-subspace")


def loop(network, x, y, optimizer, *, epochs, batch_size, seed, loss=cross_entropy):
    """The loop that a user would write; returns the mean loss of each epoch."""
    order_of = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(epochs):
        total = 0.0
        order = torch.arange(len(x))
        if batch_size is not None:
            order = torch.randperm(len(x), generator=order_of)
        for rows in order.split(batch_size or len(x)):
            optimizer.zero_grad()
            value = loss(network(x[rows]), y[rows])
            value.backward()
            optimizer.step()
            total += value.item() * len(rows)
        losses.append(total / len(x))
    return losses


@pytest.mark.parametrize(
    ("name", "build", "batch_size", "options"),
    [
        ("gd", lambda p: torch.optim.SGD(p, lr=0.1), None, {}),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1), 1, {"batch_size": 1}),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), 5,
         {"batch_size": 5, "momentum": 0.9}),
        ("adagrad", lambda p: torch.optim.Adagrad(p, lr=0.05), 32, {}),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.01), None, {"batch_size": None}),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.01), 32, {}),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.5, 0.9)), 8,
         {"batch_size": 8, "lr": 0.02, "betas": (0.5, 0.9)}),
    ],
)  # fmt: skip
def test_is_the_loop_that_a_user_would_write(
    name, build, batch_size, options, data, make_network, equal_states
):
    by_hand, by_fit = make_network(), make_network()
    losses = loop(
        by_hand, data.train.x, data.train.y, build(by_hand.parameters()),
        epochs=3, batch_size=batch_size, seed=11,
    )  # fmt: skip
    history = ho.fit(by_fit, data, optimizer=name, epochs=3, seed=11, **options)
    equal_states(by_fit, by_hand)
    assert history.train_loss == losses
    assert history.status == "epochs"


def test_an_instance_is_used_as_it_is(data, make_network, equal_states):
    by_hand, by_fit = make_network(), make_network()
    loop(
        by_hand, data.train.x, data.train.y, torch.optim.AdamW(by_hand.parameters(), lr=0.03),
        epochs=2, batch_size=32, seed=0,
    )  # fmt: skip
    ho.fit(by_fit, data, optimizer=torch.optim.AdamW(by_fit.parameters(), lr=0.03), epochs=2)
    equal_states(by_fit, by_hand)


@pytest.mark.parametrize("name", ["newton", "lbfgs"])
def test_closure_optimizers_take_one_step_an_epoch(name, data, make_network, equal_states):
    by_hand, by_fit = make_network(), make_network()
    x, y = data.train.x, data.train.y
    if name == "newton":
        optimizer = Newton(by_hand.parameters())
    else:
        optimizer = torch.optim.LBFGS(by_hand.parameters(), line_search_fn="strong_wolfe")

    def closure():
        loss = cross_entropy(by_hand(x), y)
        if name == "lbfgs":
            optimizer.zero_grad()
            loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
    ho.fit(by_fit, data, optimizer=name, epochs=2)
    equal_states(by_fit, by_hand)


def test_evaluates_on_the_test_part(data, make_network):
    network = make_network(dropout=0.5)
    history = ho.fit(network, data, epochs=2)
    outputs = network.eval()(data.test.x)
    assert history.test_loss[-1] == cross_entropy(outputs, data.test.y).item()
    assert history.metric[-1] == (outputs.argmax(1) == data.test.y).double().mean().item()


def test_mean_squared_error_is_the_default_for_real_targets(regression, make_network):
    network = make_network(2)
    before = mse_loss(network(regression.train.x), regression.train.y).item()
    history = ho.fit(network, regression, optimizer="gd", epochs=1)
    assert history.metric_name == "r2"
    assert history.train_loss == [before]


@pytest.mark.parametrize("loss", [nn.L1Loss(), lambda o, t: (o - t).abs().mean()])
def test_loss_is_a_module_or_a_function(loss, regression, make_network):
    network = make_network(2)
    before = (network(regression.train.x) - regression.train.y).abs().mean().item()
    assert ho.fit(network, regression, optimizer="gd", epochs=1, loss=loss).train_loss == [before]


@pytest.mark.parametrize("bridge", ["classical", *BRIDGES])
@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_trains_every_kind_of_network(
    name, bridge, data, make_network, make_quantum
):
    network = make_network() if bridge == "classical" else make_quantum(bridge)
    batch = {} if OPTIMIZERS[name].full_batch else {"batch_size": 8}
    history = ho.fit(network, data, optimizer=name, epochs=3, **batch)
    assert history.train_loss[-1] < history.train_loss[0]
    assert all(torch.isfinite(p).all() for p in network.parameters())
    if bridge == "memory":
        assert min(history.settings) > 0
    else:
        assert history.cost == ho.Cost()


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_takes_the_path_of_the_circuit(name, data, make_quantum):
    # exact execution: both compute the same formula, rounded differently in the last digits
    paths = {}
    for bridge in ("memory", "twin"):
        network = make_quantum(bridge).double()
        paths[bridge] = ho.fit(network, data, optimizer=name, epochs=2)
    np.testing.assert_allclose(
        paths["memory"].train_loss, paths["twin"].train_loss, rtol=0, atol=1e-10
    )
    assert paths["memory"].metric == paths["twin"].metric


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_down_on_a_regression(name, regression, make_quantum):
    history = ho.fit(make_quantum(num_outputs=2), regression, optimizer=name, epochs=3)
    assert history.metric_name == "r2"
    assert history.train_loss[-1] < history.train_loss[0]


def test_a_part_of_a_network_can_be_quantum(data, make_quantum):
    inner = make_quantum()
    network = nn.Sequential(inner, nn.Linear(3, 3))
    history = ho.fit(network, data, epochs=3)
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.settings == [2 + 1] * 3  # one step, and one reading for the evaluation
    assert torch.count_nonzero(inner.angles) == inner.num_weights


def test_options_go_to_the_optimizer(data, make_network):
    with pytest.raises(UnknownNameError, match=r"'momentun'.*Did you mean .*'momentum'"):
        ho.fit(make_network(), data, optimizer="sgd", momentun=0.9)
    with pytest.raises(UnknownNameError, match=r"'adma'.*Did you mean .*'adam'"):
        ho.fit(make_network(), data, optimizer="adma")
    network = make_network()
    instance = torch.optim.Adam(network.parameters())
    with pytest.raises(ArgumentError, match="`betas` cannot be given beside an optimizer instance"):
        ho.fit(network, data, optimizer=instance, betas=(0.5, 0.9))


def test_all_forms_of_the_same_data(data, make_network, equal_states):
    x, y = data.train.x, data.train.y
    forms = [
        (x, y),
        [x, y],
        (x.numpy(), y.numpy()),
        (x.double().numpy(), y.numpy().astype(np.int32)),
        (x.tolist(), y.tolist()),
        TensorDataset(x, y),
        data.train,
    ]
    networks = [make_network() for _ in forms]
    for network, form in zip(networks, forms, strict=True):
        history = ho.fit(network, form, epochs=2, batch_size=6)
        assert history.test_loss == [None, None]
        assert history.metric[-1] is not None
    for network in networks[1:]:
        equal_states(networks[0], network)


def test_a_loader_gives_its_own_batches(data, make_network, equal_states):
    x, y = data.train.x, data.train.y
    by_loader, by_pair = make_network(), make_network()
    history = ho.fit(by_loader, DataLoader(TensorDataset(x, y), batch_size=22), epochs=2)
    ho.fit(by_pair, (x, y), epochs=2, batch_size=None)
    equal_states(by_loader, by_pair)
    assert (history.metric, history.test_loss) == ([None, None], [None, None])


def test_no_epoch_trains_nothing(data, make_quantum, equal_states, aer_calls):
    network = make_quantum()
    before = copy.deepcopy(network)
    history = ho.fit(network, data, epochs=0)
    equal_states(network, before)
    assert (len(history), history.status, aer_calls) == (0, "epochs", [])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_come_in_the_dtype_of_the_network(dtype, data, make_network, make_quantum):
    pair = (data.train.x.double(), data.train.y)
    for network in (make_network().to(dtype), make_quantum().to(dtype)):
        ho.fit(network, pair, epochs=1)
        assert network(data.train.x.to(dtype)).dtype == dtype


def test_a_layer_may_be_called_as_the_library_calls_its_own(data):
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.origin = nn.Linear(3, 3)
            self.executor = nn.Tanh()

        def forward(self, x):
            return self.executor(self.origin(x))

    assert len(ho.fit(Named(), data, epochs=1)) == 1


def test_devices_are_checked_by_name(data, make_network, equal_states):
    one, other = make_network(), make_network()
    ho.fit(one, data, device="cpu", epochs=1)
    ho.fit(other, data, device=torch.device("cpu"), epochs=1)
    equal_states(one, other)
    with pytest.raises(UnknownNameError, match=r"Unknown device 'cup'. Did you mean 'cpu'"):
        ho.fit(make_network(), data, device="cup")


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu"])
def test_an_absent_device_is_no_silent_cpu(device, data, make_network):
    with pytest.raises(DeviceError, match=f'device="{device}", but torch finds no such device'):
        ho.fit(make_network(), data, device=device)


@pytest.mark.parametrize(("progress", "label"), [(True, "Sequential"), ("first stage", "first")])
def test_shows_a_bar(progress, label, data, make_network, capsys):
    ho.fit(make_network(), data, epochs=2, batch_size=11, progress=progress)
    out = capsys.readouterr().out
    assert label in out
    assert "4/4" in out
    assert "loss " in out


@pytest.mark.wrong_types
def test_shows_nothing_unless_asked(data, make_network, capsys):
    ho.fit(make_network(), data, epochs=1)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ArgumentTypeError, match="`progress` must be True, False or a label"):
        ho.fit(make_network(), data, progress=1)
