"""Damaged and hostile files are read or refused by our errors, with little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("fuzzed_files.py")
MOST_MEMORY = 500 << 20  # bytes above the process after its imports


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs the limits of Linux")
@pytest.mark.parametrize(
    ("kind", "count", "least"),
    [
        *(("networks", 120, 0.6), ("checkpoints", 60, 0.9)),
        *(("studies", 100, 0.7), ("circuits", 80, 0.5)),
    ],
)
def test_changed_files_are_read_or_refused(kind, count, least, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), kind, str(count)],
        check=False, capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert set(report["outcomes"]) <= {"read", "refused"}
    assert sum(report["outcomes"].values()) == count
    assert report["outcomes"]["refused"] >= least * count
    assert report["peak"] < MOST_MEMORY


SHARING = """
import sys, torch, hybridopt as ho
from torch import nn

folder, kind, number = sys.argv[1:]
x = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
data, path = (x, (x.sum(1) > 0).long()), f"{folder}/shared.{kind}"
if kind == "checkpoint":
    quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=64, seed=3))
    history = ho.fit(quantum, data, epochs=8, batch_size=16, checkpoint=path)
    torch.save([history.train_loss, quantum.executor.state_dict()], f"{folder}/{number}.result")
elif kind == "ho":
    for _ in range(20):
        ho.save(ho.to_quantum(nn.Linear(40 + int(number), 20)), path)
        ho.load(path)
else:
    study = ho.compare(network, data, methods=["adam", "sgd"], budget="1 epoch", seeds=2,
                       tuning=None, output=path)
    torch.save([run.test_metric for run in study.runs], f"{folder}/{number}.result")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoint", "ho", "study"])
def test_processes_that_share_a_file_do_not_disturb_each_other(kind, tmp_path):
    script = tmp_path / "sharing.py"
    script.write_text(SHARING)
    env = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(script), str(tmp_path), kind]
    running = [subprocess.Popen([*command, str(number)], env=env) for number in range(2)]
    assert [process.wait(timeout=240) for process in running] == [0, 0]
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []
    results = [torch.load(path, weights_only=True) for path in tmp_path.glob("*.result")]
    assert len(results) == (0 if kind == "ho" else 2)
    assert all(result == results[0] for result in results)
