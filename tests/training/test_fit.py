from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, DeviceError
from hybridopt.optim import OPTIMIZERS, Newton

NAMES = tuple(OPTIMIZERS)


@pytest.mark.parametrize(
    ("optimizer", "build", "batch_size", "options"),
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
        (torch.optim.AdamW, lambda p: torch.optim.AdamW(p, lr=0.03), 32, {}),
    ],
)  # fmt: skip
def test_equals_a_loop_by_hand(
    optimizer, build, batch_size, options, data, make_network, equal_states, train_by_hand
):
    by_hand, by_fit = make_network(), make_network()
    losses = train_by_hand(
        by_hand, data.train.x, data.train.y, build(by_hand.parameters()),
        epochs=3, batch_size=batch_size, seed=11,
    )  # fmt: skip
    if not isinstance(optimizer, str):
        optimizer = build(by_fit.parameters())
    history = ho.fit(by_fit, data, optimizer=optimizer, epochs=3, seed=11, **options)
    equal_states(by_fit, by_hand)
    assert history.train_loss == losses


@pytest.mark.parametrize("name", ["newton", "lbfgs"])
def test_closure_optimizers_take_one_step_per_epoch(name, data, make_network, equal_states):
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


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (None, mse_loss),
        (nn.L1Loss(), nn.L1Loss()),
        (lambda o, t: (o - t).abs().mean(), nn.L1Loss()),
    ],
)
def test_loss(loss, expected, regression, make_network):
    network = make_network(2)
    before = expected(network(regression.train.x), regression.train.y).item()
    history = ho.fit(network, regression, optimizer="gd", epochs=1, loss=loss)
    assert history.metric_name == "r2"
    assert history.train_loss == [before]


@pytest.mark.parametrize("bridge", ["classical", "memory", "twin", "random-subspace"])
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
def test_twin_matches_the_circuit(name, regression, make_quantum):
    # exact execution: both compute the same formula, rounded differently in the last digits
    paths = {}
    for bridge in ("memory", "twin"):
        network = make_quantum(bridge, num_outputs=2).double()
        paths[bridge] = ho.fit(network, regression, optimizer=name, epochs=2)
    for column in ("train_loss", "metric"):
        np.testing.assert_allclose(
            *(getattr(path, column) for path in paths.values()), rtol=0, atol=1e-10
        )


def test_quantum_part_of_a_network(data, make_quantum):
    inner = make_quantum()
    network = nn.Sequential(inner, nn.Linear(3, 3))
    history = ho.fit(network, data, epochs=3)
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.settings == [2 + 1] * 3  # one step, and one setting for the evaluation
    assert torch.count_nonzero(inner.angles) == inner.num_weights


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
        equal_states(networks[0], network)


def test_loader_gives_its_own_batches(data, make_network, equal_states):
    x, y = data.train.x, data.train.y
    by_loader, by_pair, larger = make_network(), make_network(), make_network()
    history = ho.fit(by_loader, DataLoader(TensorDataset(x, y), batch_size=22), epochs=2)
    ho.fit(by_pair, (x, y), epochs=2, batch_size=None)
    equal_states(by_loader, by_pair)
    assert (history.metric, history.test_loss) == ([None, None], [None, None])
    ho.fit(larger, (x, y), epochs=2, batch_size=10**30)  # one batch, in another order
    torch.testing.assert_close(larger[0].weight, by_pair[0].weight)


def test_no_epoch_trains_nothing(data, make_quantum, equal_states, aer_calls):
    network = make_quantum()
    before = copy.deepcopy(network)
    history = ho.fit(network, data, epochs=0)
    equal_states(network, before)
    assert (len(history), history.status, aer_calls) == (0, "epochs", [])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_get_the_dtype_of_the_network(dtype, data, make_network, make_quantum):
    pair = (data.train.x.double(), data.train.y)
    for network in (make_network().to(dtype), make_quantum().to(dtype)):
        ho.fit(network, pair, epochs=1)
        assert network(data.train.x.to(dtype)).dtype == dtype
    assert pair[0].dtype == torch.float64
    assert torch.equal(pair[0], data.train.x.double())


def test_layers_may_have_names_of_the_library(data):
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.origin = nn.Linear(3, 3)
            self.executor = nn.Tanh()

        def forward(self, x):
            return self.executor(self.origin(x))

    assert len(ho.fit(Named(), data, epochs=1)) == 1


def test_devices(data, make_network, equal_states):
    one, other = make_network(), make_network()
    ho.fit(one, data, device="cpu", epochs=1)
    ho.fit(other, data, device=torch.device("cpu"), epochs=1)
    equal_states(one, other)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu"])
def test_absent_device_is_an_error(device, data, make_network):
    with pytest.raises(DeviceError, match=f'`device`.*"{device}"'):
        ho.fit(make_network(), data, device=device)


@pytest.mark.wrong_types
@pytest.mark.parametrize(("progress", "label"), [(True, "Sequential"), ("first stage", "first")])
def test_progress_bar(progress, label, data, make_network, capsys):
    ho.fit(make_network(), data, epochs=1)
    assert capsys.readouterr() == ("", "")
    ho.fit(make_network(), data, epochs=2, batch_size=11, progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert label in err
    assert "4/4" in err
    assert "loss " in err
    with pytest.raises(ArgumentTypeError, match="`progress`"):
        ho.fit(make_network(), data, progress=1)
