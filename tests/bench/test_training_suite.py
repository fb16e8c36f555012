"""Tests of the training suite that do not depend on the speed of the machine."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from hybridopt.bench import training_suite
from hybridopt.bench.training_suite import bridge_times, compare, plain_loop, syntheses
from hybridopt.cli import app
from hybridopt.data import load_dataset
from hybridopt.training import fit


def test_pairs_are_timed_in_turn_after_one_untimed_call():
    order: list[str] = []
    result = compare(lambda: order.append("a"), lambda: order.append("b"), repetitions=3)
    assert order == ["a", "b"] * 4
    assert result.repetitions == 3
    assert result.ratio > 0


def test_plain_loop_trains_like_fit():
    data = load_dataset("digits", seed=0)
    torch.manual_seed(0)
    first, second = torch.nn.Linear(64, 10), torch.nn.Linear(64, 10)
    second.load_state_dict(first.state_dict())
    by_hand = plain_loop(first, data, epochs=2)
    ours = fit(second, data, epochs=2).train_loss
    assert by_hand == pytest.approx(ours, rel=0.1)  # another order of samples


def test_steps_reach_aer(aer_calls):
    times = bridge_times(60, repetitions=2)
    assert (times.weights, sum(aer_calls)) == (60, 2 * 3)
    aer_calls.clear()
    assert syntheses(weights=60, repetitions=2).ratio > 0
    assert sum(aer_calls) == 2 * 2 * 3


@pytest.mark.slow
def test_command_writes_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(training_suite, "QUICK_SIZES", (60, 200))
    arguments = ["bench", "--suite", "training", "--quick", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert [row["weights"] for row in content["training"]["bridge"]] == [60, 200]
    assert "simulators" not in content
    assert (tmp_path / "memory_bridge.png").read_bytes().startswith(b"\x89PNG")
    assert "memory bridge, 200 weights" in (tmp_path / "bench.html").read_text("utf-8")
    assert not (tmp_path / "table.md").exists()
