"""Tests of shots per weight: counts, tuning and output files."""

from __future__ import annotations

import pytest
import torch

import hybridopt as ho


def test_shots_are_multiples_of_the_number_of_basis_states(example):
    data = ho.load_dataset("digits", seed=0)
    network = example.mlp(data, 0)
    assert sum(p.numel() for p in network.parameters()) == 1510
    executor = example.executor(network, 3, 0)
    assert executor.shots == 3 * 2048 == 3 * ho.to_quantum(network, executor=executor).num_angles
    assert example.executor(network, None, 0).shots is None


def test_tuning_uses_no_test_sample(example):
    data = ho.load_dataset("digits", seed=0)
    tuning = example.load(example.Plan(), tuning=True)
    assert len(tuning.train.x) + len(tuning.test.x) == len(data.train.x)
    known = {tuple(row) for row in data.train.x.tolist()}
    assert {tuple(row) for row in tuning.test.x.tolist()} <= known
    assert torch.equal(example.load(example.Plan(), tuning=False).test.x, data.test.x)


def test_each_reading_runs_the_circuit_again(example):
    data = example.load(example.QUICK, tuning=False)
    network = example.mlp(data, 0)
    executor = example.executor(network, 1, 0)
    quantum = ho.to_quantum(network, executor=executor, scale=example.SCALE).eval()
    read = example.read_accuracy(quantum, data)
    assert executor.usage.settings == example.READINGS
    correct = read * example.READINGS * len(data.test.y)
    assert correct == pytest.approx(round(correct))


@pytest.mark.slow
def test_a_quick_run_writes_table_rows_and_picture(example, quick_run):
    rows, _ = quick_run("--workers", "1", "--seeds", "1")
    methods = ["memory", example.READ_ONLY, "twin", "classical"]
    assert set(methods) == {row["method"] for row in rows}
    by_key = {(row["method"], row["shots_a_weight"]): row for row in rows}
    assert set(by_key) == {
        *((method, shots) for method in ("memory", "twin") for shots in ("1", "8", "")),
        *((example.READ_ONLY, shots) for shots in ("1", "8")),
        ("classical", ""),
    }
    # four steps of two settings, and one setting for the test at the end of the epoch
    assert int(by_key["memory", "8"]["shots"]) == 9 * 8 * 2048
    assert int(by_key["twin", "8"]["shots"]) == int(by_key["memory", ""]["shots"]) == 0
    assert float(by_key["memory", ""]["by_angles"]) == float(by_key["twin", ""]["by_angles"])


@pytest.mark.parametrize("name", ["epochs", "seeds", "workers"])
def test_zero_is_refused(example, name, capsys):
    with pytest.raises(SystemExit):
        example.main([f"--{name}", "0"])
    assert f"--{name} must be at least 1" in capsys.readouterr().err
