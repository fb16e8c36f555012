from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, TrainingError


class GradientNorms(ho.training.Callback):
    """Callback that records the norm of the gradient before each step."""

    def __init__(self):
        self.norms, self.losses = [], []

    def on_before_step(self, loss, network):
        squares = [p.grad.square().sum() for p in network.parameters() if p.grad is not None]
        self.norms.append(float(torch.stack(squares).sum().sqrt()))
        self.losses.append(loss)


def test_clipping_equals_a_loop_by_hand(data, make_network, equal_states):
    x, y = data.train.x, data.train.y
    by_hand, by_fit = make_network(), make_network()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.5)
    generator, norms, limit = torch.Generator().manual_seed(0), [], 0.45
    for _ in range(2):
        for rows in torch.randperm(22, generator=generator).split(8):
            optimizer.zero_grad()
            cross_entropy(by_hand(x[rows]), y[rows]).backward()
            norms.append(float(clip_grad_norm_(by_hand.parameters(), limit)))
            optimizer.step()
    seen = GradientNorms()
    history = ho.fit(
        by_fit, (x, y), optimizer="sgd", lr=0.5, epochs=2, batch_size=8, clip_grad_norm=limit,
        callbacks=[seen],
    )  # fmt: skip
    equal_states(by_fit, by_hand)
    assert seen.norms == pytest.approx(norms, rel=1e-6)
    over = [norm > limit for norm in norms]
    assert history.clipped == [sum(over[:3]), sum(over[3:])]
    assert 0 < sum(over) < 6
    assert history.steps == [3, 3]


@pytest.mark.parametrize(
    "loss", [None, nn.CrossEntropyLoss(reduction="sum"), nn.CrossEntropyLoss(torch.rand(3) + 0.1)]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantum", [False, True])
def test_accumulation_equals_larger_batches(quantum, weighted, loss, data, make_network):
    loss = copy.deepcopy(loss) if loss is None else copy.deepcopy(loss).double()
    members = [data.train.x, data.train.y]
    members += [torch.rand(22, generator=torch.Generator().manual_seed(2)) + 0.1] * weighted
    networks = [make_network().double() for _ in range(2)]
    networks = [ho.to_quantum(n) if quantum else n for n in networks]
    seen, rest = GradientNorms(), {"optimizer": "sgd", "loss": loss, "epochs": 2, "lr": 0.01}
    small = ho.fit(
        networks[0], tuple(members), batch_size=3, accumulate=2, callbacks=[seen], **rest
    )
    large = ho.fit(networks[1], tuple(members), batch_size=6, **rest)
    assert small.steps == large.steps == [4, 4]  # 8 batches, then a rest of 4 samples
    assert len(seen.losses) == 8
    assert small.train_loss == pytest.approx(large.train_loss, rel=1e-12)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_incomplete_group_and_schedule(data, make_network):
    network, ticks = make_network(), []

    class Ticks(ho.training.Callback):
        def on_step_end(self, loss, network):
            ticks.append(optimizer.param_groups[0]["lr"])

    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(data.train.x, data.train.y), 4)  # 6 batches
    history = ho.fit(
        network, loader, optimizer=optimizer, epochs=2, accumulate=4, scheduler="one-cycle",
        callbacks=[Ticks()],
    )  # fmt: skip
    assert history.steps == [2, 2]
    assert len(ticks) == 4
    assert ticks[-1] < ticks[1]  # all of the cycle


def test_clipping_follows_accumulation(data, make_network, equal_states):
    networks = [make_network().double() for _ in range(2)]
    rest = {"optimizer": "sgd", "lr": 0.5, "epochs": 2, "clip_grad_norm": 0.1}
    histories = [
        ho.fit(networks[0], data, batch_size=4, accumulate=3, **rest),
        ho.fit(networks[1], data, batch_size=12, **rest),
    ]
    assert histories[0].clipped == histories[1].clipped == [2, 2]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_callback_may_change_gradients(data, make_network, equal_states):
    class Zero(ho.training.Callback):
        def on_before_step(self, loss, network):
            for parameter in network.parameters():
                parameter.grad.zero_()

    network = make_network()
    before = copy.deepcopy(network)
    ho.fit(network, data, optimizer="sgd", epochs=1, callbacks=[Zero()])
    equal_states(network, before)


def test_range_test_clips(data, make_network):
    free, clipped = (
        ho.fit(make_network(), data, lr="auto", optimizer="sgd", batch_size=8, epochs=1,
               clip_grad_norm=limit).range_test for limit in (None, 1e-3)
    )  # fmt: skip
    assert free.losses[0] == clipped.losses[0]
    assert free.losses[-1] != clipped.losses[-1]


def test_resume(data, make_quantum, equal_states, tmp_path):
    options = {"batch_size": 4, "accumulate": 2, "clip_grad_norm": 0.2}
    whole, parts = make_quantum(), [make_quantum() for _ in range(2)]
    expected = ho.fit(whole, data, epochs=3, **options)
    for network, epochs in zip(parts, (1, 3), strict=True):
        history = ho.fit(network, data, epochs=epochs, checkpoint=tmp_path / "run", **options)
    equal_states(parts[1], whole)
    assert (history.clipped, history.steps) == (expected.clipped, expected.steps)
    assert history.train_loss == expected.train_loss
    for key in ("accumulate", "clip_grad_norm"):
        other = {**options, key: 3}
        with pytest.raises(CheckpointError, match=key):
            ho.fit(make_quantum(), data, epochs=3, checkpoint=tmp_path / "run", **other)


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"accumulate": 2}, "accumulate"),
        ({"clip_grad_norm": 1.0}, "clip_grad_norm"),
        ({"callbacks": [GradientNorms()]}, "GradientNorms.on_before_step"),
    ],
)
def test_closures_are_refused(optimizer, options, name, data, make_quantum, aer_calls):
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        ho.fit(make_quantum(), data, optimizer=optimizer, **options)
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"clip_grad_norm": 0}, ArgumentError),
        ({"clip_grad_norm": float("inf")}, ArgumentError),
        ({"clip_grad_norm": "1"}, ArgumentTypeError),
        ({"accumulate": 0}, ArgumentError),
        ({"accumulate": 1.5}, ArgumentTypeError),
    ],
)
def test_bad_options(options, error, data, make_network):
    with pytest.raises(error, match=f"`{next(iter(options))}`"):
        ho.fit(make_network(), data, **options)


def test_sparse_gradients_cannot_be_clipped():
    network = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(6, 2))
    tokens, labels = torch.arange(8).reshape(4, 2) % 5, torch.tensor([0, 1, 0, 1])
    with pytest.raises(TrainingError, match=r"`clip_grad_norm`.*sparse"):
        ho.fit(network, (tokens, labels), optimizer="sgd", clip_grad_norm=1.0)
