"""Runs in other processes; some are killed."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from hybridopt.compare import runner
from hybridopt.errors import ArgumentError, ConversionError, ExecutionError

from .conftest import quick

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
    """Return a module that other processes can import, too."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("deadly")
    del sys.modules["deadly"]


def test_a_network_that_cannot_be_pickled(capsys):
    with pytest.raises(ArgumentError, match="`workers=1`"):
        quick(workers=2, network=lambda: nn.Linear(4, 3))
    hooked = nn.Linear(4, 3)
    hooked.weight.register_hook(torch.abs)  # pickle would lose it
    with pytest.raises(ConversionError, match=r"`weight` .*`workers=1`"):
        quick(workers=2, network=hooked)
    assert runner.default_workers() >= 1
    quick(methods=["adam"], progress=True)
    assert "2/2" in capsys.readouterr().err


def test_an_interrupted_comparison_is_resumed(tmp_path, monkeypatch):
    run, seen = runner.make_run, []

    def interrupted(experiment, method, seed):
        seen.append((method.name, seed))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return run(experiment, method, seed)

    monkeypatch.setattr(runner, "make_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick(output=tmp_path)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    quick(output=tmp_path)
    assert seen[3:] == [("sgd", 0), ("sgd", 1)]


@pytest.mark.slow
def test_a_killed_worker_is_one_failed_run(deadly):
    task = {"network": deadly.dies_with_seed_1, "methods": ["adam"], "seeds": 4}
    torch.set_default_dtype(torch.float64)  # other processes make networks in it, too
    try:
        spread, alone = (quick(workers=workers, **task) for workers in (2, 1))
    finally:
        torch.set_default_dtype(torch.float32)
    (failure,) = spread.failures
    assert (failure.method, failure.seed) == ("adam", 1)
    assert "signal 9 (SIGKILL)" in failure.error
    for one, other in zip(spread.runs, alone.runs, strict=True):
        # double precision, whose last digits the sums of other threads may change
        assert not one.done or one.test_loss == pytest.approx(other.test_loss, rel=1e-13)


# background jobs of a shell ignore Ctrl-C, and so do their children
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import deadly, hybridopt as ho
if __name__ == "__main__":
    ho.compare(deadly.waits, "iris", methods=["adam"], budget=1, seeds=2, workers=2, output="out")
"""


def is_alive(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and ") Z" not in status.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_remains(number, deadly, tmp_path):
    (tmp_path / "main.py").write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, "main.py"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    workers = set()
    while len(workers) < 3:  # two, and the resource tracker of multiprocessing
        assert process.poll() is None
        time.sleep(0.2)
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        workers = {child for task in tasks for child in task.read_text().split()}
    process.send_signal(number)
    assert process.wait(180) != 0
    deadline = time.monotonic() + 120  # on a busy machine, imports take time
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_a_process_that_cannot_start(monkeypatch):
    monkeypatch.setattr(runner, "_prepare", sys.exit)
    x = torch.randn(20_000, 30)  # more than fits into a pipe
    with pytest.raises(ExecutionError, match="__main__"):
        quick(workers=2, network=nn.Linear(30, 2), data=(x, (x[:, 0] > 0).long()))
