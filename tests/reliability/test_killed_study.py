"""A comparison that is killed at any moment loses only its current run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from .killed_study import KILLS, METHODS, SEEDS

SCRIPT = Path(__file__).with_name("killed_study.py")


def numbers(path: Path) -> object:
    """Return the content of a study without its times, and without the digest of them."""

    def without_seconds(value: object) -> object:
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if "seconds" not in k and k != "sha256"}
            return {k: without_seconds(v) for k, v in kept.items()}
        return [without_seconds(item) for item in value] if isinstance(value, list) else value

    return without_seconds(json.loads(path.read_text()))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_and_resumed_to_the_same_numbers(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "5"],
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == 0, done.stderr
    attempts = report["attempts"]
    assert sum(attempt["killed"] for attempt in attempts) >= KILLS // 2
    assert not any(attempt["other"] for attempt in attempts[:-1])
    assert attempts[-1]["other"] == ["report.html"]
    finished = [len(attempt["whole"]) for attempt in attempts]
    assert finished == sorted(finished)
    assert finished[0] + finished[KILLS // 2] > 0
    for before, after in pairwise(attempts):  # finished runs are not repeated
        assert before["written"].items() <= after["written"].items()
    assert len(attempts[-1]["written"]) == SEEDS * len(METHODS)
    assert len(json.loads((tmp_path / "killed.json").read_text())["runs"]) == SEEDS * len(METHODS)
    assert numbers(tmp_path / "killed.json") == numbers(tmp_path / "whole.json")
