"""Tests of the comparison on digits: sizes, splits, budgets and output files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import hybridopt as ho


def trained_numbers(example, name: str, size: int) -> int:
    network = example.mlp(64, example.HIDDEN, 10, seed=1)
    made = example.METHODS[name].make(example.Case(network, size, 1))
    trained, _ = example.prepare(example.Plan(), made, network, tuning=True)
    return sum(p.numel() for p in trained.parameters() if p.requires_grad)


def test_methods_have_equal_numbers_of_parameters(example):
    """Check up to whole hidden units: 14 parameters (frozen generator) or 75 (narrow network)."""
    step = {"generator-frozen": 14, "classical-narrow": 38}
    for name, method in example.METHODS.items():
        for size in (307, 1297):
            expected = size if method.sized else 1510
            assert abs(trained_numbers(example, name, size) - expected) <= step.get(name, 0)


def rows_of(part) -> set[bytes]:
    return {bytes(row.contiguous().view(torch.uint8).tolist()) for row in part.x}


def test_tuning_uses_no_test_sample(example):
    plan = example.Plan()
    final, tuning = (example.load(plan, tuning=wanted) for wanted in (False, True))
    test = rows_of(final.test)
    assert rows_of(tuning.train) | rows_of(tuning.test) == rows_of(final.train)
    assert not rows_of(tuning.train) & rows_of(tuning.test)
    assert not (rows_of(tuning.train) | rows_of(tuning.test)) & test
    assert len(tuning.test) == int(0.2 * len(final.train))


def test_all_methods_have_equal_trials_and_seeds(example, monkeypatch):
    seen = []

    def run(task):
        seen.append(task)
        best = task.method == "memory" and task.rate == 0.1
        return example.Row(task.method, 7, task.seed, task.rate, 0.5 + best, 1.0, 0, "torch", None)

    monkeypatch.setattr(example, "run", run)
    plan = replace(example.Plan(), sizes=(100, 200), rates=(0.01, 0.1), seeds=3)
    rows = example.compare(plan, workers=1)
    places = {(task.method, task.size) for task in seen}
    assert {name for name, _ in places} == set(example.METHODS)
    trials = Counter((task.method, task.size) for task in seen if task.seed is None)
    finals = Counter((task.method, task.size) for task in seen if task.seed is not None)
    assert trials == dict.fromkeys(places, 2)
    assert finals == dict.fromkeys(places, 3)
    assert {row.learning_rate for row in rows if row.method == "memory"} == {0.1}
    assert {row.learning_rate for row in rows if row.method != "memory"} == {0.01}


@pytest.mark.parametrize("where", ["twin", "aer"])
def test_generators_are_tested_with_their_circuit(example, where, aer_calls):
    plan = replace(example.Plan(), epochs=1, samples=100, generator_on=where)
    row = example.run(example.Task(plan, "generator", 60, 0.1, 1))
    assert row.trainable == 60
    assert row.trained_on == {"twin": "twin", "aer": "Aer"}[where]
    assert len(aer_calls) > 0
    assert (row.settings == 0) == (where == "twin")
    assert where == "aer" or row.gap_to_twin <= 1e-6  # float32 weights of order one


@pytest.mark.slow
def test_quick_run_writes_tables_and_picture(example, quick_run):
    rows, table = quick_run("--workers", "1")
    assert len(rows) == 2 * (8 + 2)
    accuracies = {(row["method"], row["trainable"], row["seed"]): row["accuracy"] for row in rows}
    for (method, numbers, seed), value in accuracies.items():
        if method == "memory":  # the circuit and its twin
            assert accuracies["memory-twin", numbers, seed] == value
    assert len(table.splitlines()) == 2 + 8 + 2


def test_picture_of_stored_runs(example, tmp_path):
    stored = Path(example.__file__).parent / "pictures" / "digits_ablation.csv"
    example.main(["--runs", str(stored), "--output", str(tmp_path)])
    assert (tmp_path / "runs.csv").read_bytes() == stored.read_bytes()
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    panels = example.panels_of(example.read(stored, example.Row))
    gaps = [float(title.rsplit(" ", 1)[1]) for title in panels]
    for gap, (bridge, control, *_) in zip(gaps, panels.values(), strict=True):
        pairs = zip(bridge.means, control.means, strict=True)
        assert gap == pytest.approx(max(abs(a - b) for a, b in pairs), abs=5e-4)


def test_the_generator_circuit_equals_its_trained_twin(example):
    network = example.mlp(64, example.HIDDEN, 10, seed=1)
    made = example.generator(example.Case(network, 60, 1))
    twin = ho.to_quantum(network, ho.bridges.Twin(of=made))
    with torch.no_grad():
        twin.mapping.last.weight.fill_(0.1)
        twin.angles.add_(0.3)
    circuit = example.on_circuit(made, network, twin)
    x = torch.ones(2, 64)
    torch.testing.assert_close(circuit(x), twin(x), rtol=0, atol=1e-5)
    assert circuit.executor.usage.settings == 1
