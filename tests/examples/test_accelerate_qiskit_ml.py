"""The example of a program for qiskit-machine-learning, with fewer steps and weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "accelerate_qiskit_ml.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accelerate_qiskit_ml_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look it up
        spec.loader.exec_module(module)
        yield module


def test_the_data_are_two_balanced_kinds(example):
    x, y = example.make_data()
    assert (x.shape, y.shape) == ((100, 4), (100, 1))
    assert (x.min().item(), x.max().item(), y.sum().item()) == (0, 1, 0)


@pytest.mark.slow
def test_all_forms_of_the_program_train_alike(example, capsys):
    example.main(["--steps", "3", "--depth", "1"])
    out = capsys.readouterr().out
    assert "3 steps of Adam, 8 weights, batches of 16" in out
    outcomes = example.race(steps=3, depth=1)
    first, *others = outcomes.values()
    assert len(others) == 4
    assert first.losses[1] != first.losses[0]
    for outcome in others:
        np.testing.assert_allclose(outcome.losses, first.losses, rtol=0, atol=1e-6)
        np.testing.assert_allclose(outcome.weights, first.weights, rtol=0, atol=1e-5)
