"""Tests of the example for qiskit-machine-learning, with fewer steps and weights."""

from __future__ import annotations

import numpy as np
import pytest


def test_the_data_have_two_balanced_classes(example):
    x, y = example.make_data()
    assert (x.shape, y.shape) == ((100, 4), (100, 1))
    assert (x.min().item(), x.max().item(), y.sum().item()) == (0, 1, 0)


@pytest.mark.slow
def test_all_forms_of_the_program_train_equally(example, monkeypatch, capsys):
    race, runs = example.race, []

    def noted(*arguments):
        runs.append(race(*arguments))
        return runs[-1]

    monkeypatch.setattr(example, "race", noted)
    example.main(["--steps", "2", "--depth", "1"])
    assert "2 steps of Adam, 8 weights, batches of 16" in capsys.readouterr().out
    ((first, *others),) = (outcomes.values() for outcomes in runs)
    assert len(others) == 4
    assert first.losses[1] != first.losses[0]
    for outcome in others:
        np.testing.assert_allclose(outcome.losses, first.losses, rtol=0, atol=1e-6)
        np.testing.assert_allclose(outcome.weights, first.weights, rtol=0, atol=1e-5)
