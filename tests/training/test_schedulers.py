from __future__ import annotations

import math

import pytest
import torch
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, IterableDataset

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, UnknownNameError
from hybridopt.training.schedulers import SCHEDULERS, create_schedule

EPOCHS = 6
CLOSED_FORMS = {
    "cosine": lambda e: (1 + math.cos(math.pi * e / EPOCHS)) / 2,
    "exponential": lambda e: 0.9**e,
    "linear": lambda e: 1 - 0.99 * e / (EPOCHS - 1),
    "step": lambda e: 0.1 ** (e // 2),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name, data, make_network):
    history = ho.fit(
        make_network(), data, optimizer="sgd", lr=0.3, epochs=EPOCHS, batch_size=8, scheduler=name
    )
    expected = [0.3 * CLOSED_FORMS[name](e) for e in range(EPOCHS)]
    assert history.lr == pytest.approx(expected, rel=1e-12)  # torch computes them by recursion


def test_one_cycle_changes_after_every_batch():
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([parameter], lr=0.5)
    schedule = create_schedule("one-cycle", optimizer, epochs=4, steps=5)
    rates = []
    for _ in range(4):
        for _ in range(5):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(1.0)
    assert rates[0] == pytest.approx(0.5 / 25)
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == 5  # 30 % of 20 batches, the first of which counts
    assert rates[-1] == pytest.approx(0.5 / 250_000)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_plateau_uses_the_training_loss(data, make_network):
    history = ho.fit(
        make_network(), data, optimizer="gd", lr=1.0, epochs=8, scheduler="plateau",
        loss=lambda outputs, targets: outputs.sum() * 0 + 1.0,
    )  # fmt: skip
    assert history.lr == pytest.approx([1.0] * 4 + [0.1] * 3 + [0.01])


@pytest.mark.parametrize("form", ["instance", "function", "one-cycle", "step"])
def test_equals_a_loop_by_hand(form, data, make_network, equal_states, train_by_hand):
    def build(optimizer):
        if form == "one-cycle":
            return lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=9)
        return lr_scheduler.MultiStepLR(optimizer, milestones=[1, 2], gamma=0.1)

    def optimizer_of(network):
        return torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

    by_fit, by_hand = make_network(), make_network()
    optimizer = optimizer_of(by_fit)
    scheduler = {"instance": lambda: build(optimizer), "step": lambda: "step"}.get(
        form, lambda: build
    )()
    ho.fit(by_fit, data, optimizer=optimizer, epochs=3, batch_size=8, seed=2, scheduler=scheduler)
    optimizer = optimizer_of(by_hand)
    after = {"after_step" if form == "one-cycle" else "after_epoch": build(optimizer).step}
    train_by_hand(by_hand, data.train.x, data.train.y, optimizer, epochs=3, seed=2, **after)
    equal_states(by_fit, by_hand)


@pytest.mark.parametrize("name", [*SCHEDULERS, "function"])
def test_resumed_run_equals_an_uninterrupted_one(name, data, make_network, equal_states, tmp_path):
    scheduler = name if name in SCHEDULERS else lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 3)
    path, calls = tmp_path / "run.pt", []

    def interrupt(record, network):
        calls.append(record.epoch)
        if record.epoch == 4:
            raise KeyboardInterrupt

    arguments = {"optimizer": "sgd", "epochs": EPOCHS, "batch_size": 5, "scheduler": scheduler}
    resumed, whole = make_network(dropout=0.3), make_network(dropout=0.3)
    ho.fit(resumed, data, checkpoint=path, callbacks=[interrupt], **arguments)
    first = ho.fit(resumed, data, checkpoint=path, **arguments)
    second = ho.fit(whole, data, **arguments)
    equal_states(resumed, whole)
    assert first.lr == second.lr
    assert first.train_loss == second.train_loss


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "CosineAnnealingLR.*None"),
        ({"scheduler": "step"}, "CosineAnnealingLR.*StepLR"),
        ({"scheduler": "cosine", "epochs": 3}, "T_max=1.*T_max=3"),
    ],
)
def test_checkpoint_of_another_schedule(arguments, message, data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, checkpoint=path, scheduler="cosine")
    with pytest.raises(CheckpointError, match=message):
        ho.fit(make_network(), data, checkpoint=path, **{"epochs": 2, **arguments})


class Endless(IterableDataset):
    def __iter__(self):
        yield from zip(torch.randn(4, 3), torch.arange(4) % 3, strict=True)


class Unstorable(lr_scheduler.LRScheduler):
    def __init__(self, optimizer):
        self.note = Endless()
        super().__init__(optimizer)

    def get_lr(self):
        return [0.1]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("scheduler", "error", "message"),
    [
        ("cosin", UnknownNameError, "'cosin'.*'cosine'"),
        (3, ArgumentTypeError, "`scheduler`.* 3"),
        (lr_scheduler.StepLR, ArgumentError, "`scheduler`.*'StepLR'.*step_size"),
        (lambda optimizer: 1 / 0, ArgumentError, "`scheduler`.*ZeroDivisionError"),
        (lambda optimizer: None, ArgumentTypeError, "`scheduler`.* None"),
        (lr_scheduler.ExponentialLR(torch.optim.SGD([torch.zeros(1)]), 0.5), ArgumentError,
         "ExponentialLR.*`scheduler`"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lr", [None, "auto"])
def test_refused(lr, scheduler, error, message, data, make_quantum, aer_calls):
    with pytest.raises(error, match=message):
        ho.fit(make_quantum(), data, epochs=1, lr=lr, scheduler=scheduler)
    assert aer_calls == []


def test_refused_with_other_arguments(data, make_network, tmp_path):
    loader = DataLoader(Endless(), batch_size=2)
    with pytest.raises(ArgumentError, match='scheduler="one-cycle"'):
        ho.fit(make_network(), loader, scheduler="one-cycle")
    with pytest.raises(ArgumentError, match="Unstorable"):
        ho.fit(make_network(), data, scheduler=Unstorable, checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("epochs", [0, 1])
def test_short_runs(name, epochs, data, make_network):
    assert len(ho.fit(make_network(), data, epochs=epochs, scheduler=name)) == epochs


@pytest.mark.parametrize("name", ["newton", "lbfgs", "adam"])
def test_quantum_network(name, data, make_quantum):
    history = ho.fit(make_quantum(), data, optimizer=name, epochs=3, scheduler="cosine")
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.lr == sorted(history.lr, reverse=True)
    assert len(set(history.lr)) == 3
