"""Runs in other processes, one of which is killed."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import workers
from hybridopt.compare.workers import default_workers
from hybridopt.errors import ArgumentError, ExecutionError

# functions of this file cannot be imported by other processes, but those of torch can
TASK = {"network": nn.Linear(4, 3), "data": "iris", "budget": 1, "seeds": 2, "tuning": None}


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(ArgumentError, match=r"cannot be sent to other processes.*`workers=1`"):
        ho.compare(methods=["adam"], workers=2, **{**TASK, "network": lambda: nn.Linear(4, 3)})


def test_one_for_each_core():
    assert default_workers() >= 1


@pytest.mark.slow
def test_numbers_are_those_of_one_process_and_a_killed_worker_is_a_failed_run(monkeypatch):
    give, killed = workers._Worker.give, []

    def give_and_kill(worker, task):
        give(worker, task)
        if task == 1 and not killed:
            killed.append(worker.process.pid)
            os.kill(worker.process.pid, signal.SIGKILL)

    monkeypatch.setattr(workers._Worker, "give", give_and_kill)
    methods = ["adam", "memory+adam"]
    spread = ho.compare(methods=methods, workers=2, **TASK)
    assert killed
    (failure,) = spread.failures
    assert (failure.method, failure.seed) == ("adam", 1)
    assert "signal 9 (SIGKILL)" in failure.error
    alone = ho.compare(methods=methods, **TASK)
    for one, other in zip(spread.runs, alone.runs, strict=True):
        if one.done:
            assert one.test_metric == other.test_metric
            # the same steps by the same code; threads may sum in another order
            assert one.test_loss == pytest.approx(other.test_loss, rel=1e-5)
            assert one.settings == other.settings


@pytest.mark.slow
def test_other_processes_make_networks_in_the_same_precision():
    torch.set_default_dtype(torch.float64)
    try:
        task = {**TASK, "network": "mlp:4-3", "methods": ["adam"]}
        alone, spread = (ho.compare(workers=workers, **task) for workers in (1, 2))
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(spread.runs, alone.runs, strict=True):
        # double precision, whose last digits the sums of other threads may change
        assert one.test_loss == pytest.approx(other.test_loss, rel=1e-13)


@pytest.mark.slow
def test_a_process_that_dies_while_much_is_sent_is_named(monkeypatch):
    monkeypatch.setattr(workers, "work", os.abort)
    x = torch.randn(20_000, 30)
    data = (x, (x[:, 0] > 0).long())
    with pytest.raises(ExecutionError, match=r"before it could begin.*__main__"):
        ho.compare(
            methods=["adam"], workers=2, **{**TASK, "network": nn.Linear(30, 2), "data": data}
        )


@pytest.mark.slow
def test_a_process_that_cannot_begin_is_no_endless_loop(monkeypatch):
    monkeypatch.setattr(workers, "work", os.abort)
    with pytest.raises(ExecutionError, match="before it could begin"):
        ho.compare(methods=["adam"], workers=2, **TASK)
