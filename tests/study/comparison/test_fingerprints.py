"""What must tell runs apart, so that no stored run is taken for another."""

from __future__ import annotations

import functools

import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn import functional

import hybridopt as ho
from hybridopt.study.comparison.fingerprints import executor_text, loss_text


class Twice(nn.Module):
    """A loss around another."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


def noisy(strength: float) -> ho.AerExecutor:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(strength, 1), ["ry"])
    return ho.AerExecutor(shots=10, noise_model=model)


@pytest.mark.parametrize(
    "make",
    [
        lambda value: nn.CrossEntropyLoss(label_smoothing=value),
        lambda value: nn.CrossEntropyLoss(weight=torch.tensor([1.0, value])),
        lambda value: Twice(nn.HuberLoss(delta=value)),
        lambda value: functools.partial(functional.cross_entropy, label_smoothing=value),
    ],
)
def test_losses_by_their_options(make):
    assert loss_text(make(0.1)) == loss_text(make(0.1))
    assert loss_text(make(0.1)) != loss_text(make(0.3))


def test_losses_by_their_code():
    assert loss_text(lambda x, y: (x - y).abs().mean()) == loss_text(
        lambda x, y: (x - y).abs().mean()
    )
    assert loss_text(lambda x, y: 2 * (x - y).mean()) != loss_text(lambda x, y: 3 * (x - y).mean())
    assert loss_text(None) is None


def test_executors_by_the_numbers_of_their_noise():
    assert executor_text(noisy(0.1)) == executor_text(noisy(0.1))
    assert executor_text(noisy(0.1)) != executor_text(noisy(0.2))
    assert executor_text(ho.AerExecutor(shots=10)) == repr(ho.AerExecutor(shots=10))


def test_executors_made_by_functions_of_one_name_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridopt.study.Study.to_html", lambda study, path: path)
    for shots in (20, 50):
        study = ho.compare(
            "mlp:4-3", "iris", methods=["memory+adam"], budget=1, seeds=2, tuning=None,
            executor=lambda seed, shots=shots: ho.AerExecutor(shots=shots), output=tmp_path,
        )  # fmt: skip
        assert [run.shots for run in study.runs] == [8 * shots, 8 * shots]
