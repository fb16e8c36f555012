"""A state is restored completely or not at all."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt._random import global_state
from hybridopt.errors import CheckpointError
from hybridopt.storage.archive import signed
from hybridopt.storage.torch_file import dump


def run(path, epochs, network, optimizer):
    x = torch.rand(12, 3, generator=torch.Generator().manual_seed(0))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    options = {"optimizer": optimizer, "scheduler": schedule, "checkpoint": path}
    return ho.fit(network, (x, (x.sum(1) > 1.5).long()), epochs=epochs, **options), schedule


def made():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=50, seed=1))
    return quantum, torch.optim.Adam(quantum.parameters(), lr=0.05)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "run.pt"
    run(path, 2, *made())
    return torch.load(path, weights_only=True)


def first_state(state):
    return state["optimizer"]["state"][0]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda s: s.pop("order"), "order"),
        (lambda s: s.update(executors=[]), "executors"),
        (lambda s: s["executors"][0].update(calls=-1), "calls"),
        (lambda s: s["executors"][0].update(entropy="abc"), "entropy"),
        (lambda s: s["network"].popitem(), "network"),
        (lambda s: next(iter(s["network"].values())).fill_(torch.nan), "finite"),
        (lambda s: first_state(s).pop("exp_avg"), "exp_avg"),
        (lambda s: first_state(s).update(exp_avg=torch.zeros(3, 3)), "exp_avg"),
        (lambda s: first_state(s).update(step=None), "step"),
        (lambda s: first_state(s)["exp_avg"].fill_(torch.nan), "exp_avg"),
        (lambda s: s["optimizer"]["state"].update({99: {}}), "99"),
        (lambda s: s["optimizer"]["param_groups"][0].update(lr="x"), "lr"),
        (lambda s: s["optimizer"]["param_groups"][0].update(betas=None), "betas"),
        (lambda s: s["schedule"].pop("last_epoch"), "last_epoch"),
        (lambda s: s["schedule"].update(more=1), "more"),
        (lambda s: s.update(order=torch.zeros(3, dtype=torch.uint8)), "order"),
        (lambda s: s["random"].pop("python"), "random"),
        (lambda s: s["random"]["numpy"][1].pop(), "random"),
        (lambda s: s["history"].update(records=[{}]), "history"),
        (lambda s: s["history"]["records"].pop(0), "epochs"),
        (lambda s: s["settings"].update(trained=[3]), "trained"),
        (lambda s: s.update(settings=[]), "settings"),
        (lambda s: s.update(schema="x"), "schema"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, place, stored, tmp_path, aer_calls):
    state = copy.deepcopy(stored)
    change(state)
    path = tmp_path / "run.pt"
    path.write_bytes(signed(dump(state)))
    network, optimizer = made()
    before = copy.deepcopy([network.state_dict(), optimizer.state_dict()])
    before += [network.executor.state_dict(), global_state()]
    with pytest.raises(CheckpointError, match=rf"run\.pt.*{place}"):
        run(path, 3, network, optimizer)
    optimizer.param_groups[0].pop("initial_lr", None)  # the new scheduler adds it
    after = [network.state_dict(), optimizer.state_dict()]
    after += [network.executor.state_dict(), global_state()]
    assert dump(after) == dump(before)
    assert aer_calls == []


def test_failure_in_the_last_step_is_undone(stored, tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    path.write_bytes(signed(dump(stored)))
    network, optimizer = made()
    before = dump([network.state_dict(), network.executor.state_dict(), global_state()])
    restore = optimizer.load_state_dict
    calls = []

    def fails_once(state):
        calls.append(state)
        if len(calls) == 1:
            raise MemoryError("no memory")
        restore(state)

    monkeypatch.setattr(optimizer, "load_state_dict", fails_once)
    with pytest.raises(CheckpointError, match="no memory"):
        run(path, 3, network, optimizer)
    assert dump([network.state_dict(), network.executor.state_dict(), global_state()]) == before


def test_infinite_buffers_and_frozen_weights_are_restored(tmp_path):
    def with_mask():
        network, optimizer = made()
        network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        return network, optimizer

    path = tmp_path / "run.pt"
    first, _ = run(path, 2, *with_mask())
    again, _ = run(path, 3, *with_mask())
    assert again.train_loss[:2] == first.train_loss
