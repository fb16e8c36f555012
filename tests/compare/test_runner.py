"""Runs in other processes, some of which are killed."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import runner
from hybridopt.errors import ArgumentError, ExecutionError

from .conftest import QUICK

pytestmark = pytest.mark.usefixtures("no_page")

# functions of this file cannot be imported by other processes, but those of a written file can
DEADLY = """
import multiprocessing, os, signal, time
import numpy as np, torch
from torch import nn

def in_a_worker():
    return multiprocessing.parent_process() is not None

def dies_with_seed_1():
    (seeded,) = np.random.SeedSequence(1).generate_state(1)
    if in_a_worker() and torch.initial_seed() == int(seeded):
        os.kill(os.getpid(), signal.SIGKILL)
    return nn.Linear(4, 3)

def waits():
    time.sleep(60 if in_a_worker() else 0)
    return nn.Linear(4, 3)
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A module that other processes find, too."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("deadly")
    del sys.modules["deadly"]


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(ArgumentError, match=r"cannot be sent to other processes.*`workers=1`"):
        ho.compare(methods=["adam"], workers=2, **{**QUICK, "network": lambda: nn.Linear(4, 3)})


def test_one_for_each_core():
    assert runner.default_workers() >= 1


def test_progress_names_what_runs(capsys):
    ho.compare(methods=["adam"], progress=True, **QUICK)
    assert "2/2" in capsys.readouterr().out


def test_interrupted_it_goes_on_with_what_is_missing(tmp_path, monkeypatch):
    run, seen = runner.make_run, []

    def interrupted(experiment, method, seed):
        seen.append((method.name, seed))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return run(experiment, method, seed)

    monkeypatch.setattr(runner, "make_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ho.compare(methods=["adam", "memory+adam"], output=tmp_path, **QUICK)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    ho.compare(methods=["adam", "memory+adam"], output=tmp_path, **QUICK)
    assert seen[3:] == [("memory+adam", 0), ("memory+adam", 1)]


@pytest.mark.slow
def test_a_killed_worker_is_one_failed_run_and_the_numbers_are_those_of_one_process(deadly):
    task = {**QUICK, "network": deadly.dies_with_seed_1, "methods": ["adam"], "seeds": 4}
    torch.set_default_dtype(torch.float64)  # other processes make networks in it, too
    try:
        spread, alone = (ho.compare(workers=workers, **task) for workers in (2, 1))
    finally:
        torch.set_default_dtype(torch.float32)
    (failure,) = spread.failures
    assert (failure.method, failure.seed) == ("adam", 1)
    assert failure.error == "The process of the run ended with signal 9 (SIGKILL)."
    for one, other in zip(spread.runs, alone.runs, strict=True):
        # double precision, whose last digits the sums of other threads may change
        assert not one.done or one.test_loss == pytest.approx(other.test_loss, rel=1e-13)


SCRIPT = """
import deadly, hybridopt as ho
ho.compare(deadly.{network}, "iris", methods=["adam"], budget=1, seeds=2, tuning=None,
           workers=2, output="out")
"""


def children_of(process: int) -> set[str]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


def is_alive(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and ") Z" not in status.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.parametrize("signal", ["SIGINT", "SIGKILL"])
def test_no_process_is_left_behind(signal, deadly, tmp_path):
    guarded = SCRIPT.format(network="waits").replace("\nho.", '\nif __name__ == "__main__": ho.')
    (tmp_path / "main.py").write_text(guarded)
    process = subprocess.Popen([sys.executable, "main.py"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    workers = set()
    while len(workers) < 3:  # two, and what multiprocessing keeps track with
        assert process.poll() is None
        time.sleep(0.2)
        workers = children_of(process.pid)
    process.send_signal(getattr(__import__("signal"), signal))
    assert process.wait(60) != 0
    deadline = time.monotonic() + 120  # on a busy machine, they are still importing
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_a_process_that_cannot_begin_is_named_though_much_is_sent(monkeypatch):
    monkeypatch.setattr(runner, "_prepare", sys.exit)
    x = torch.randn(20_000, 30)
    data = (x, (x[:, 0] > 0).long())
    with pytest.raises(ExecutionError, match=r"before it could begin.*__main__"):
        ho.compare(
            methods=["adam"], workers=2, **{**QUICK, "network": nn.Linear(30, 2), "data": data}
        )
