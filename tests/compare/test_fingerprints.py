"""What must tell runs apart, so that no stored run is taken for another."""

from __future__ import annotations

import functools

import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn import functional

import hybridopt as ho
from hybridopt.compare.fingerprints import loss_text
from hybridopt.compare.records import failed
from hybridopt.compare.run_key import executor_text


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


def make_loss(factor: float):
    return lambda outputs, y: factor * functional.cross_entropy(outputs, y)


def test_losses_by_what_they_close_over():
    assert loss_text(make_loss(1.0)) == loss_text(make_loss(1.0))
    assert loss_text(make_loss(1.0)) != loss_text(make_loss(100.0))


FILE = """
import torch
class Net(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x){more}
def make():
    return Net(4, 3)
"""


def circuit_network(observables):
    circuit, inputs, weights, _ = ho.load_circuit("strongly_entangling")
    layer = ho.CircuitLayer(circuit, inputs, weights, observables)
    return nn.Sequential(nn.Linear(4, layer.in_features), layer)


def test_stored_runs_of_another_file_circuit_or_loss_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridopt.compare.study.Study.to_html", lambda study, path: path)
    file, made = tmp_path / "net.py", []
    monkeypatch.setattr(
        "hybridopt.compare.plan.Plan.run",
        lambda plan, method, seed: made.append(seed) or failed(method.name, seed, "not made"),
    )

    def keys(network, **options):
        ho.compare(
            network, "iris", methods=["adam"], budget=1, seeds=2, tuning=None,
            output=tmp_path / "runs", **options,
        )  # fmt: skip
        return {path.name for path in (tmp_path / "runs" / "runs").iterdir()}

    before, count = set(), 0
    for more in ("", " * 10"):
        file.write_text(FILE.format(more=more))
        count, before = count + 2, keys(f"{file}:make")
        assert len(before) == count
        assert keys(f"{file}:make") == before
    for letters in ("ZX", "XZ"):
        observables = [f"II{letters}"] * 3
        count, before = count + 2, keys(lambda seen=observables: circuit_network(seen))
        assert len(before) == count
    for factor in (1.0, 100.0):
        count, before = count + 2, keys("mlp:4-3", loss=make_loss(factor))
        assert len(before) == count


def test_executors_by_the_numbers_of_their_noise():
    assert executor_text(noisy(0.1)) == executor_text(noisy(0.1))
    assert executor_text(noisy(0.1)) != executor_text(noisy(0.2))
    assert executor_text(ho.AerExecutor(shots=10)) == repr(ho.AerExecutor(shots=10))


def test_executors_made_by_functions_of_one_name_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridopt.compare.study.Study.to_html", lambda study, path: path)
    for shots in (20, 50):
        study = ho.compare(
            "mlp:4-3", "iris", methods=["memory+adam"], budget=1, seeds=2, tuning=None,
            executor=lambda seed, shots=shots: ho.AerExecutor(shots=shots), output=tmp_path,
        )  # fmt: skip
        assert [run.shots for run in study.runs] == [8 * shots, 8 * shots]
