"""A training run that is killed at any moment loses only its current epoch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .killed_run import EPOCHS, KILLS

SCRIPT = Path(__file__).with_name("killed_run.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_and_resumed_to_the_same_numbers(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "7"],
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == 0, done.stderr
    attempts = report["attempts"]
    assert len(attempts) == KILLS
    assert sum(attempt["killed"] for attempt in attempts) == KILLS
    for attempt in attempts:  # only the checkpoint exists, and it can be read
        assert set(attempt["epochs"]) <= {"run.pt"}
    epochs = [attempt["epochs"].get("run.pt", 0) for attempt in attempts]
    assert epochs == sorted(epochs)
    assert 0 < epochs[-1] < EPOCHS
    whole, killed = (torch.load(tmp_path / name) for name in ("whole.pt", "killed.pt"))
    assert list(whole.pop("network")) == list(killed["network"])
    network = torch.load(tmp_path / "whole.pt")["network"]
    for name, tensor in killed.pop("network").items():
        assert torch.equal(tensor, network[name]), name
    assert killed == whole
    assert len(killed["losses"]) == EPOCHS
