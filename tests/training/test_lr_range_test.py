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
    WITHIN_NOISE,
    choose_rate,
    smoothed,
)


@pytest.fixture
def few_rates(monkeypatch):
    """For circuits: 12 steps in place of 60."""
    monkeypatch.setattr("hybridopt.training.lr_range_test.RATES", RATES[::5])


def test_rates_grow_by_a_constant_factor():
    rates = RATES
    assert (len(rates), rates[0]) == (STEPS, LOWEST)
    assert rates[-1] == pytest.approx(HIGHEST)
    assert [b / a for a, b in pairwise(rates)] == pytest.approx(
        [(HIGHEST / LOWEST) ** (1 / (STEPS - 1))] * (STEPS - 1)
    )


def test_smoothed_is_a_mean_with_weights_of_sum_one():
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smoothed([1.0, 2.0])[1] == pytest.approx((0.8 * 1.0 + 2.0) / 1.8)


def test_half_of_the_rate_at_which_half_of_the_fall_is_done():
    rates = RATES
    losses = [1.0] * 20 + [1 - 0.05 * k for k in range(18)] + [5.0, math.inf]
    # a running mean lags behind a line by 4 steps, 0.8 / (1 - 0.8): 0.15 + 0.2 at the end, 0.675
    # halfway, which the line passes at step 26.5 and the mean at 30.5, up to 0.05 * 4 * 0.8^10
    assert choose_rate(rates, losses) == rates[31] / MARGIN
    dip = [0.999 if step == 5 else loss for step, loss in enumerate(losses)]
    assert choose_rate(rates, dip) == rates[31] / MARGIN
    scaled = [1e6 * loss - 3e6 for loss in losses]
    assert choose_rate(rates, scaled) == rates[31] / MARGIN
    for hopeless in ([1.0, 1.1, 1.3, 9.0], [math.nan], [1.0] * 60):
        with pytest.raises(TrainingError, match=r"found no learning rate between 1e-06 and 10"):
            choose_rate(rates, hopeless)


def test_a_fall_within_the_noise_chooses_nothing():
    rng, rates = np.random.default_rng(0), RATES
    nothing = [
        choose_rate(rates, [1.0, *rng.normal(1, 0.1, STEPS - 1)]) is None for _ in range(100)
    ]
    assert sum(nothing) >= 85  # three standard errors; the least of some dozen means
    for _ in range(100):  # a fall of five deviations of one loss is seen, and where it is
        losses = rng.normal(1, 0.1, STEPS) - 0.5 * (np.arange(STEPS) >= 40)
        chosen = choose_rate(rates, list(losses))
        assert chosen is not None
        assert rates[40] <= chosen * MARGIN <= rates[50]


@pytest.mark.parametrize(("optimizer", "default"), [("sgd", 0.1), ("adagrad", 0.05)])
def test_noise_leaves_the_default(optimizer, default):
    for seed in range(8):
        generator = torch.Generator().manual_seed(100 + seed)
        x = torch.randn(40, 4, generator=generator)
        y = torch.randint(0, 2, (40,), generator=generator)
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        found = ho.fit(network, (x, y), optimizer=optimizer, lr="auto", epochs=1).range_test
        assert found.lr >= default / 2  # a dip of noise gave 2e-5, which trains nothing
        assert (found.reason == "") == (found.lr != default)
    assert "no more than its noise" in WITHIN_NOISE


def test_digits_keep_what_the_default_reaches():
    data, scores = ho.load_dataset("digits", seed=0), {}
    for lr in (None, "auto"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
        scores[lr] = ho.fit(network, data, lr=lr, epochs=3).metric[-1]
    assert scores["auto"] > scores[None] - 0.02  # 0.958 both; a tenth of the least gave 0.914


class Parabola(nn.Module):
    """Gives x w; under a / 2 times its square, gradient descent is stable for lr < 2 / a."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0]], dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("curvature", [0.5, 7.0, 300.0])
def test_is_stable_where_the_limit_is_known(curvature):
    x = torch.full((4, 1), 1.0, dtype=torch.float64)

    def loss(outputs, targets):
        return curvature / 2 * (outputs - targets).square().mean()

    history = ho.fit(Parabola(), (x, 0 * x), optimizer="gd", lr="auto", epochs=1, loss=loss)
    assert history.range_test.lr < 2 / curvature
    assert history.range_test.lr > min(0.01 / curvature, 1)


def test_scaling_the_loss_scales_the_rate_of_gradient_descent_and_not_of_adam(data, make_network):
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
@pytest.mark.parametrize("kind", ["classical", "memory", "shots"])
def test_training_goes_on_as_if_the_rate_had_been_given(
    kind, data, make_network, make_quantum, equal_states
):
    def make():
        if kind == "classical":
            return make_network(dropout=0.3, batch_norm=True)
        return make_quantum(shots=512 if kind == "shots" else None, dropout=0.3)

    auto, given = make(), make()
    first = ho.fit(auto, data, lr="auto", epochs=2, batch_size=11)
    second = ho.fit(given, data, lr=first.range_test.lr, epochs=2, batch_size=11)
    equal_states(auto, given)
    assert (first.train_loss, first.test_loss) == (second.train_loss, second.test_loss)
    assert first.lr == [first.range_test.lr] * 2
    if kind != "classical":
        assert auto.executor.state_dict() == given.executor.state_dict()


def test_the_global_random_state_is_left_alone(data, make_network):
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    ho.fit(make_network(dropout=0.2), data, lr="auto", epochs=1)
    assert torch.equal(torch.rand(2), expected)


def test_what_it_ran_is_counted(data, make_quantum, aer_calls):
    network = make_quantum()
    history = ho.fit(network, data, lr="auto", epochs=1)
    found = history.range_test
    assert found.settings == 2 * len(found.rates) - (0 if len(found.rates) == STEPS else 1)
    assert history.cost.settings == found.settings + sum(history.settings)
    assert history.cost == network.executor.usage
    assert found.runs + sum(history.runs) == sum(aer_calls)


def test_seconds_and_losses_are_noted(data, make_network):
    found = ho.fit(make_network(), data, lr="auto", epochs=1).range_test
    assert len(found.rates) == len(found.losses) <= STEPS
    assert found.seconds > 0
    before = nn.functional.cross_entropy(make_network()(data.train.x), data.train.y).item()
    assert found.losses[0] == pytest.approx(before, rel=1e-6)  # one batch of 22, in another order


def test_the_same_seed_finds_the_same_rate(data, make_network):
    def found(seed):
        return ho.fit(
            make_network(dropout=0.4), data, lr="auto", epochs=1, batch_size=4, seed=seed
        ).range_test

    assert (found(3).lr, found(3).losses) == (found(3).lr, found(3).losses)
    assert found(3).losses != found(4).losses


def test_a_loader_gives_the_batches(data, make_network, equal_states):
    def loader():
        pairs = TensorDataset(data.train.x, data.train.y)
        return DataLoader(pairs, 5, shuffle=True, generator=torch.Generator().manual_seed(8))

    auto, given = make_network(), make_network()
    history = ho.fit(auto, loader(), lr="auto", epochs=2)
    ho.fit(given, loader(), lr=history.range_test.lr, epochs=2)
    equal_states(auto, given)


def test_learns_faster_than_with_the_default(make_network):
    data = ho.load_dataset("iris", seed=0)
    losses = {}
    for lr in (None, "auto"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 3))
        losses[lr] = ho.fit(network, data, lr=lr, epochs=8).train_loss[-1]
    assert losses["auto"] < losses[None] / 2  # measured 0.045 and 0.289


@pytest.mark.usefixtures("few_rates")
def test_resumes_with_the_rate_that_was_found(data, make_quantum, equal_states, tmp_path):
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
def test_another_choice_of_the_rate_is_refused(
    written, resumed, data, make_quantum, tmp_path, aer_calls
):
    path = tmp_path / "run.pt"
    ho.fit(make_quantum(), data, epochs=1, lr=written, checkpoint=path)
    aer_calls.clear()
    with pytest.raises(CheckpointError, match=r"written with lr=.*, but this run has lr="):
        ho.fit(make_quantum(), data, epochs=2, lr=resumed, checkpoint=path)
    assert aer_calls == []


def test_no_epoch_searches_nothing(data, make_quantum, aer_calls):
    history = ho.fit(make_quantum(), data, lr="auto", epochs=0)
    assert (history.range_test, aer_calls) == (None, [])


def test_interrupted(data, make_network, equal_states):
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
    ("arguments", "error", "message"),
    [
        ({"optimizer": "newton"}, ArgumentError, "'newton' finds it by a line search"),
        ({"optimizer": "lbfgs"}, ArgumentError, "'lbfgs' finds it by a line search"),
        ({"optimizer": "instance"}, ArgumentError, "beside an optimizer instance.*Adam"),
        ({"momentum": 1}, ArgumentError, "takes no keyword argument 'momentum'"),
    ],
)
def test_refused(arguments, error, message, data, make_quantum, aer_calls):
    network = make_quantum()
    if arguments.get("optimizer") == "instance":
        arguments = {"optimizer": torch.optim.Adam(network.parameters())}
    with pytest.raises(error, match=message):
        ho.fit(network, data, lr="auto", **arguments)
    assert aer_calls == []


def test_networks_that_cannot_be_tried(data, make_network):
    with pytest.raises(ConversionError, match=r"Uncopyable cannot be copied .I am one of a kind"):
        ho.fit(Uncopyable(3, 3), data, lr="auto")
    flat = make_network()
    with pytest.raises(TrainingError, match="Pass a number as `lr`"):
        ho.fit(flat, data, lr="auto", loss=lambda outputs, targets: outputs.sum() * 0 + 1)
