"""Tests of training for a device: executors of the methods, output files, labels of the picture."""

from __future__ import annotations

import pytest
from qiskit.providers.fake_provider import GenericBackendV2


def test_methods_differ_in_their_executors_only(example):
    device = GenericBackendV2(3, seed=1)
    ideal, noisy, turns, mitigated = example.methods(device)
    stages = {(s.optimizer, s.base_lr, s.bridge) for m in example.methods(device) for s in m.stages}
    assert stages == {("adam", example.LEARNING_RATE, None)}
    (only,) = ideal.stages
    assert not only.executor.has_noise
    assert [stage.executor.has_noise for stage in turns.stages] == [False, True]
    assert turns.shares == [0.75, 0.25]
    found = [method.stages[0].executor.readout_mitigation for method in (noisy, mitigated)]
    assert found == [None, "inverse"]


def test_the_points_are_those_of_the_function(example):
    data = example.points(example.Plan())
    assert (len(data.train), len(data.test), data.task) == (60, 140, "regression")
    x, y = data.test.x, data.test.y
    assert ((x[:, 0] * 2).sin() * x[:, 1].cos() - y[:, 0]).abs().max() < 1e-6


@pytest.mark.slow
def test_a_quick_run_writes_table_rows_and_picture(example, quick_run, monkeypatch):
    pictures = []
    picture = example.picture
    monkeypatch.setattr(
        example, "picture", lambda *given: pictures.append(picture(*given)) or pictures[-1]
    )
    rows, table = quick_run()
    names = [method.name for method in example.methods(GenericBackendV2(3, seed=1))]
    plan, judges = example.QUICK, list(example.JUDGES)
    assert [(row["judge"], row["method"], row["seed"]) for row in rows] == [
        (judge, name, str(seed)) for judge in judges for name in names for seed in range(plan.seeds)
    ]
    assert {row["judging_settings"] for row in rows} == {str(plan.test)}
    assert {row["steps"] for row in rows} == {str(plan.epochs[0] * example.STEPS_PER_EPOCH)}
    assert len(table.splitlines()) == 2 + len(judges) * len(names)
    # training does not depend on the judge
    half = len(rows) // 2
    trained = [row["trained_r2"] for row in rows]
    assert trained[:half] == trained[half:]
    (figure,) = pictures
    texts = " ".join(axes.get_title() + axes.get_xlabel() for axes in figure.axes)
    assert all(judge in texts for judge in judges)
    assert "test R² under the noise of fake_yorktown" in texts
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == names
