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
# number of files, and the least share of refused ones; networks first, for most of the imports
KINDS = {
    "networks": (120, 0.6),
    "checkpoints": (60, 0.9),
    "studies": (100, 0.7),
    "circuits": (80, 0.5),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs the limits of Linux")
def test_changed_files_are_read_or_refused(tmp_path):
    tasks = [f"{kind}={count}" for kind, (count, _) in KINDS.items()]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), *tasks],
        check=False, capture_output=True, text=True, timeout=480,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    reports = json.loads(done.stdout)
    assert set(reports) == set(KINDS)
    for kind, (count, least) in KINDS.items():
        outcomes = reports[kind]["outcomes"]
        assert set(outcomes) <= {"read", "refused"}
        assert sum(outcomes.values()) == count
        assert outcomes["refused"] >= least * count
    assert sum(report["peak"] for report in reports.values()) < MOST_MEMORY


SHARING = """
import sys, time, torch, hybridopt as ho
from pathlib import Path
from torch import nn

folder, number = Path(sys.argv[1]), int(sys.argv[2])
x = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
data = (x, (x.sum(1) > 0).long())

def together(name):
    (folder / f"{name}.{number}.ready").touch()
    while not (folder / f"{name}.{1 - number}.ready").exists():
        time.sleep(0.001)

def share_checkpoint(network, path):
    quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=64, seed=3))
    history = ho.fit(quantum, data, epochs=5, batch_size=16, checkpoint=path)
    return [history.train_loss, quantum.executor.state_dict()]

def share_network(_, path):
    for _ in range(10):
        ho.save(ho.to_quantum(nn.Linear(40 + number, 20)), path)
        ho.load(path)

def share_study(network, path):
    options = dict(methods=["adam", "sgd"], budget="1 epoch", seeds=2, tuning=None)
    return [run.test_metric for run in ho.compare(network, data, output=path, **options).runs]

results = []
for share in (share_checkpoint, share_network, share_study):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    together(share.__name__)
    results.append(share(network, folder / f"shared.{share.__name__}"))
torch.save(results, folder / f"{number}.result")
"""


@pytest.mark.slow
def test_processes_that_share_a_file_do_not_disturb_each_other(tmp_path):
    script = tmp_path / "sharing.py"
    script.write_text(SHARING)
    env = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(script), str(tmp_path)]
    running = [subprocess.Popen([*command, str(number)], env=env) for number in range(2)]
    try:
        assert [process.wait(timeout=480) for process in running] == [0, 0]
    finally:  # one that failed leaves the other waiting
        for process in running:
            process.kill()
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []
    one, other = (torch.load(tmp_path / f"{n}.result", weights_only=True) for n in range(2))
    checkpoint, network, study = one
    assert (len(checkpoint[0]), network, len(study)) == (5, None, 4)
    assert one == other
