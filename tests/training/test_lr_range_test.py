from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import ArgumentError, CheckpointError, ConversionError, TrainingError
from hybridopt.training.lr_range_test import (
    HIGHEST,
    LOWEST,
    MARGIN,
    RATES,
    STEPS,
    choose_rate,
    smoothed,
)


@pytest.fixture
def few_rates(monkeypatch):
    """Use 12 steps instead of 60, for circuits."""
    monkeypatch.setattr("hybridopt.training.lr_range_test.RATES", RATES[::5])


def test_rates_grow_by_a_constant_factor():
    assert (len(RATES), RATES[0]) == (STEPS, LOWEST)
    assert RATES[-1] == pytest.approx(HIGHEST)
    assert [b / a for a, b in pairwise(RATES)] == pytest.approx(
        [(HIGHEST / LOWEST) ** (1 / (STEPS - 1))] * (STEPS - 1)
    )


def test_smoothing_weights_sum_to_one():
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smoothed([1.0, 2.0])[1] == pytest.approx((0.8 * 1.0 + 2.0) / 1.8)


def test_chosen_rate_is_half_of_the_rate_at_half_of_the_fall():
    losses = [1.0] * 20 + [1 - 0.05 * k for k in range(18)] + [5.0, math.inf]
    # a running mean lags behind a line by 4 steps, 0.8 / (1 - 0.8): 0.15 + 0.2 at the end, 0.675
    # halfway, which the line passes at step 26.5 and the mean at 30.5, up to 0.05 * 4 * 0.8^10
    dip = [0.999 if step == 5 else loss for step, loss in enumerate(losses)]
    scaled = [1e6 * loss - 3e6 for loss in losses]
    for curve in (losses, dip, scaled):
        assert choose_rate(RATES, curve) == RATES[31] / MARGIN
    for hopeless in ([1.0, 1.1, 1.3, 9.0], [math.nan], [1.0] * 60):
        with pytest.raises(TrainingError, match='lr="auto"'):
            choose_rate(RATES, hopeless)


def test_small_first_loss_gives_no_rate():
    assert choose_rate(RATES, [0.01, *[0.7, 0.9, 0.4, 1.1] * 10]) is None


def test_small_first_loss_does_not_end_the_test():
    x = torch.tensor([[0.001], [3.0], [2.0], [4.0]])
    for seed in range(12):  # in some orders, the first loss is almost 0
        torch.manual_seed(0)
        network = nn.Linear(1, 1, bias=False)
        history = ho.fit(network, (x, 0 * x), lr="auto", epochs=1, batch_size=1, seed=seed)
        assert len(history.range_test.rates) > 7


def test_fall_within_the_noise_gives_no_rate():
    rng = np.random.default_rng(0)
    nothing = [
        choose_rate(RATES, [1.0, *rng.normal(1, 0.1, STEPS - 1)]) is None for _ in range(100)
    ]
    assert sum(nothing) >= 85  # three standard errors; the least of some dozen means
    for _ in range(100):  # a fall of five standard deviations of one loss is detected
        losses = rng.normal(1, 0.1, STEPS) - 0.5 * (np.arange(STEPS) >= 40)
        chosen = choose_rate(RATES, list(losses))
        assert chosen is not None
        assert RATES[40] <= chosen * MARGIN <= RATES[50]


@pytest.mark.parametrize(("optimizer", "default"), [("sgd", 0.1), ("adagrad", 0.05)])
def test_default_rate_for_random_labels(optimizer, default):
    for seed in range(8):
        generator = torch.Generator().manual_seed(100 + seed)
        x = torch.randn(40, 4, generator=generator)
        y = torch.randint(0, 2, (40,), generator=generator)
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        found = ho.fit(network, (x, y), optimizer=optimizer, lr="auto", epochs=1).range_test
        assert found.lr >= default / 2  # a dip of noise gave 2e-5, which trains nothing
        assert (found.reason == "") == (found.lr != default)


def test_compared_with_the_default_rate():
    results = {}
    for name, hidden, epochs in (("digits", 20, 3), ("iris", 20, 8)):
        data = ho.load_dataset(name, seed=0)
        for lr in (None, "auto"):
            torch.manual_seed(0)
            width, classes = data.train.x.shape[1], data.num_classes
            network = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, classes))
            results[name, lr] = ho.fit(network, data, lr=lr, epochs=epochs)
    scores = [results["digits", lr].metric[-1] for lr in (None, "auto")]
    assert scores[1] > scores[0] - 0.02  # 0.958 both; a tenth of the least gave 0.914
    losses = [results["iris", lr].train_loss[-1] for lr in (None, "auto")]
    assert losses[1] < losses[0] / 2  # measured 0.045 and 0.289


class Parabola(nn.Module):
    """Map from x to x w; with loss a / 2 (x w)^2, gradient descent is stable for lr < 2 / a."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0]], dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("curvature", [0.5, 7.0, 300.0])
def test_rate_is_below_the_stability_limit(curvature):
    x = torch.full((4, 1), 1.0, dtype=torch.float64)

    def loss(outputs, targets):
        return curvature / 2 * (outputs - targets).square().mean()

    history = ho.fit(Parabola(), (x, 0 * x), optimizer="gd", lr="auto", epochs=1, loss=loss)
    assert history.range_test.lr < 2 / curvature
    assert history.range_test.lr > min(0.01 / curvature, 1)


def test_scaled_loss_scales_the_rate_of_gradient_descent_and_not_of_adam(data, make_network):
    def rate(optimizer, scale):
        def loss(outputs, targets):
            return scale * nn.functional.cross_entropy(outputs, targets)

        network = make_network().double()
        return ho.fit(
            network, data, optimizer=optimizer, lr="auto", epochs=1, loss=loss
        ).range_test.lr

    # a power of the factor between two rates, so that the same steps are made a few places later
    factor = (HIGHEST / LOWEST) ** (9 / (STEPS - 1))
    assert rate("sgd", factor**3) / rate("sgd", factor**2) == pytest.approx(1 / factor)
    assert rate("adam", 100.0) == pytest.approx(rate("adam", 1.0))


@pytest.mark.usefixtures("few_rates")
@pytest.mark.parametrize("kind", ["classical", "memory", "shots", "loader"])
def test_training_continues_as_with_a_given_rate(
    kind, data, make_network, make_quantum, equal_states
):
    arguments = {"batch_size": 11} if kind != "loader" else {}

    def make():
        if kind in {"classical", "loader"}:
            return make_network(dropout=0.3, batch_norm=True)
        return make_quantum(shots=512 if kind == "shots" else None, dropout=0.3)

    def samples():
        if kind != "loader":
            return data
        pairs = TensorDataset(data.train.x, data.train.y)
        return DataLoader(pairs, 5, shuffle=True, generator=torch.Generator().manual_seed(8))

    auto, given = make(), make()
    first = ho.fit(auto, samples(), lr="auto", epochs=2, **arguments)
    second = ho.fit(given, samples(), lr=first.range_test.lr, epochs=2, **arguments)
    equal_states(auto, given)
    assert (first.train_loss, first.test_loss) == (second.train_loss, second.test_loss)
    assert first.lr == [first.range_test.lr] * 2
    if kind in {"memory", "shots"}:
        assert auto.executor.state_dict() == given.executor.state_dict()


def test_cost(data, make_quantum, make_network, aer_calls):
    network = make_quantum()
    history = ho.fit(network, data, lr="auto", epochs=1)
    found = history.range_test
    assert found.settings == 2 * len(found.rates) - (0 if len(found.rates) == STEPS else 1)
    assert history.cost.settings == found.settings + sum(history.settings)
    assert history.cost == network.executor.usage
    assert found.runs + sum(history.runs) == sum(aer_calls)
    assert len(found.rates) == len(found.losses) <= STEPS
    assert found.seconds > 0
    before = nn.functional.cross_entropy(make_network()(data.train.x), data.train.y).item()
    assert found.losses[0] == pytest.approx(before, rel=1e-5)  # one batch of 22, in another order


def test_same_seed_same_rate(data, make_network):
    def found(seed):
        network = make_network(dropout=0.4)
        return ho.fit(network, data, lr="auto", epochs=1, batch_size=4, seed=seed).range_test

    first, second = found(3), found(3)
    assert (first.lr, first.losses) == (second.lr, second.losses)
    assert first.losses != found(4).losses


@pytest.mark.usefixtures("few_rates")
def test_resumes_with_the_chosen_rate(data, make_quantum, equal_states, tmp_path):
    path = tmp_path / "run.pt"
    arguments = {"lr": "auto", "scheduler": "exponential"}
    resumed, whole = make_quantum(shots=256), make_quantum(shots=256)
    ho.fit(resumed, data, epochs=1, checkpoint=path, **arguments)
    used = resumed.executor.usage
    first = ho.fit(resumed, data, epochs=3, checkpoint=path, **arguments)
    second = ho.fit(whole, data, epochs=3, **arguments)
    equal_states(resumed, whole)
    assert first.train_loss == second.train_loss
    assert first.range_test.losses == second.range_test.losses
    assert first.cost == second.cost
    spent = resumed.executor.usage.settings - used.settings
    assert spent == sum(first.settings[1:])  # no second range test


@pytest.mark.usefixtures("few_rates")
@pytest.mark.parametrize(("written", "resumed"), [("auto", 0.01), (0.01, "auto"), (None, "auto")])
def test_checkpoint_of_another_rate(written, resumed, data, make_quantum, tmp_path, aer_calls):
    path = tmp_path / "run.pt"
    ho.fit(make_quantum(), data, epochs=1, lr=written, checkpoint=path)
    aer_calls.clear()
    with pytest.raises(CheckpointError, match=r"lr=.*lr="):
        ho.fit(make_quantum(), data, epochs=2, lr=resumed, checkpoint=path)
    assert aer_calls == []


def test_no_epochs_and_interruptions(data, make_quantum, make_network, equal_states, aer_calls):
    history = ho.fit(make_quantum(), data, lr="auto", epochs=0)
    assert (history.range_test, aer_calls) == (None, [])
    calls = []

    def loss(outputs, targets):
        if not outputs.is_meta:
            calls.append(outputs)
            if len(calls) == 7:
                raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, targets)

    network = make_network()
    history = ho.fit(network, data, lr="auto", loss=loss)
    assert (history.status, len(history)) == ("interrupted", 0)
    equal_states(network, make_network())


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo):
        raise RuntimeError("I am one of a kind.")


@pytest.mark.parametrize(
    ("network", "arguments", "error", "message"),
    [
        (None, {"optimizer": "newton"}, ArgumentError, "'newton'"),
        (None, {"optimizer": "lbfgs"}, ArgumentError, "'lbfgs'"),
        (None, {"optimizer": "instance"}, ArgumentError, "Adam"),
        (None, {"momentum": 1}, ArgumentError, "'momentum'"),
        (Uncopyable(3, 3), {}, ConversionError, "Uncopyable"),
        (nn.Linear(3, 3), {"loss": lambda o, t: o.sum() * 0 + 1}, TrainingError, "`lr`"),
    ],
)
def test_refused(network, arguments, error, message, data, make_quantum, aer_calls):
    network = network or make_quantum()
    if arguments.get("optimizer") == "instance":
        arguments = {"optimizer": torch.optim.Adam(network.parameters())}
    with pytest.raises(error, match=message):
        ho.fit(network, data, lr="auto", **arguments)
    assert aer_calls == []
