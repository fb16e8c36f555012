from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridopt.demo import RunSettings, run_main_job
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    UnknownNameError,
    UnsupportedError,
)
from hybridopt.execution import Cost

STEPS = 4  # 120 training samples of iris in batches of 32
SMALL = {"data": "iris", "epochs": 2, "fine_tuning_epochs": 1}


def test_stages_and_controls(outcome):
    assert [stage.name for stage in outcome.stages] == ["classical-start", "quantum", "fine-tuned"]
    assert [c.name for c in outcome.controls] == ["classical", "random-subspace", "twin"]
    assert [len(stage.history) for stage in outcome.stages] == [1, 2, 1]
    assert [len(control.history) for control in outcome.controls] == [4, 3, 3]
    assert outcome.metric_name == "accuracy"
    weights = 4 * 20 + 20 + 20 * 3 + 3
    assert {result.trainable for result in (*outcome.stages, *outcome.controls)} == {weights}
    assert [result.steps for result in outcome.stages] == [STEPS, 2 * STEPS, STEPS]
    assert [result.steps for result in outcome.controls] == [4 * STEPS, 3 * STEPS, 3 * STEPS]
    settings = 2 * (2 * STEPS + 1)  # two epochs: two settings per step, one for the evaluation
    assert outcome.stages[1].cost == Cost(settings, 0, settings)
    others = [outcome.stages[0], outcome.stages[2], *outcome.controls]
    assert {result.cost for result in others} == {Cost()}


def test_the_twin_equals_the_circuit(outcome):
    # equal to 1e-10 before rounding to float32; 12 steps may differ by 2^-24 each
    _, quantum, tuned = outcome.stages
    twin = outcome.controls[2]
    losses = [*quantum.history.train_loss, *tuned.history.train_loss]
    np.testing.assert_allclose(twin.history.train_loss, losses, rtol=100 * 2.0**-24)
    assert twin.history.metric == [*quantum.history.metric, *tuned.history.metric]
    assert twin.test_metric == tuned.test_metric
    assert twin.test_metric_before_fine_tuning == quantum.test_metric


def test_training_moves_the_weights_and_conversion_does_not(outcome):
    assert [stage.conversion_change for stage in outcome.stages] == [None, 0.0, 0.0]
    start, quantum, tuned = outcome.weights.values()
    assert list(outcome.weights) == ["classical start", "quantum", "fine-tuned"]
    assert (quantum - start).abs().max() > 1e-3
    own = torch.cat([p.detach().flatten().double() for p in outcome.network.parameters()])
    assert torch.equal(own, tuned)
    test = outcome.data.test
    outputs = outcome.network.eval()(test.x)
    assert (outputs.argmax(1) == test.y).double().mean() == outcome.stages[-1].test_metric


def test_equal_seeds_give_equal_results(outcome):
    again = run_main_job(RunSettings(**SMALL, seed=4))
    pairs = zip(outcome.stages + outcome.controls, again.stages + again.controls, strict=True)
    for one, other in pairs:
        assert one.history.train_loss == other.history.train_loss
        assert one.test_metric == other.test_metric


def test_shots_are_counted_and_change_the_weights():
    outcome = run_main_job(RunSettings(**SMALL, shots_per_weight=8))
    quantum = outcome.stages[1]
    assert quantum.cost.shots == quantum.cost.settings * 8 * 256  # 256 basis states for 163 weights
    # residual form: weights are w0 + 0.1 z with an estimate of |z| <= 1 from about 8 shots
    for stage in outcome.stages[1:]:
        assert 0 < stage.conversion_change <= 0.1 + 1e-6
    assert outcome.controls[2].cost == Cost()


@pytest.mark.parametrize("optimizer", ["gd", "newton"])
def test_other_optimizers(optimizer):
    outcome = run_main_job(RunSettings(**SMALL, network="mlp:4-3", optimizer=optimizer))
    assert [stage.steps for stage in outcome.stages] == [1, 2, 1]
    quantum = outcome.stages[1]
    assert quantum.history.train_loss[-1] < quantum.history.train_loss[0]


@pytest.mark.parametrize("shots", [{"shots": 10**20}, {"shots_per_weight": 10**18}])
def test_too_many_shots_fail_before_training(shots, monkeypatch, aer_calls):
    monkeypatch.setattr("hybridopt.demo.job.fit", None)
    with pytest.raises(ArgumentError, match="`shots`"):
        run_main_job(RunSettings(**SMALL, **shots))
    assert aer_calls == []


def test_the_job_runs_in_one_thread(monkeypatch):
    seen, before = [], torch.get_num_threads()

    def note(*arguments, **options):
        seen.append(torch.get_num_threads())
        raise LookupError

    monkeypatch.setattr("hybridopt.demo.job.load_dataset", note)
    with pytest.raises(LookupError):
        run_main_job(RunSettings(**SMALL))
    assert seen == [1]
    assert torch.get_num_threads() == before


def test_an_interruption_ends_the_job(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_main_job(RunSettings(**SMALL))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"optimizer": "adma"}, UnknownNameError, "'adma'"),
        ({"epochs": -1}, ArgumentError, "`epochs`"),
        ({"fine_tuning_epochs": 1.0}, ArgumentTypeError, "`fine_tuning_epochs`"),
        ({"shots": 0}, ArgumentError, "`shots`"),
        ({"shots": 10, "shots_per_weight": 1}, ArgumentError, "`shots` or `shots_per_weight`"),
        ({"seed": -1}, ArgumentError, "`seed`"),
    ],
)
def test_invalid_settings(arguments, error, message):
    with pytest.raises(error, match=message):
        RunSettings(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "irsi"}, UnknownNameError, "'irsi'"),
        ({"network": "mlp:64-20-10"}, ArgumentError, "mlp:4-...-3"),
        ({"network": "{file}:narrow"}, DataError, "shape"),
        ({"network": "{file}:frozen"}, ArgumentError, "frozen"),
    ],
)
def test_jobs_that_fail_before_a_circuit_runs(arguments, error, message, tmp_path, aer_calls):
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n"
        "def narrow():\n    return nn.Linear(3, 3)\n"
        "def frozen():\n    return nn.Linear(4, 3).requires_grad_(False)\n"
    )
    given = {name: value.format(file=path) for name, value in arguments.items()}
    with pytest.raises(error, match=message):
        run_main_job(RunSettings(**{**SMALL, **given}))
    assert aer_calls == []


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "on_circuit", "tuned"), [(None, 0.94, 0.95), (1, 0.90, 0.94)])
def test_digits(shots, on_circuit, tuned):
    stages = run_main_job(RunSettings(seed=1, shots_per_weight=shots)).stages
    assert stages[1].test_metric >= on_circuit
    assert stages[2].test_metric >= tuned


FILE = """
import hybridopt as ho
from qiskit.providers.fake_provider import GenericBackendV2

def noisy():
    return ho.AerExecutor(noise_model=GenericBackendV2(5, seed=3), shots=500, seed=1)

def network():
    return 3
"""


@pytest.mark.parametrize("text", ["fake:FakeManilaV2", "devices.py:noisy"])
def test_the_circuits_run_on_other_executors(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.py").write_text(FILE)
    settings = RunSettings(
        data="iris", network="mlp:4-3", epochs=1, fine_tuning_epochs=1, executor=text
    )
    outcome = run_main_job(settings)
    quantum = outcome.stages[1]
    # 15 weights in 16 places: one setting forward, and two per angle of the chain backward
    assert quantum.cost.settings == STEPS * (1 + 2 * 16) + 1
    assert quantum.cost.shots == quantum.cost.settings * (1024 if text.startswith("fake") else 500)
    # forward, shifts of each step, one evaluation
    assert quantum.cost.jobs == (2 * STEPS + 1 if text.startswith("fake") else 0)
    assert 0 < outcome.stages[2].conversion_change <= 0.2  # the angles, and their noisy readout
    assert outcome.controls[2].cost == Cost()


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"executor": "manila"}, ArgumentError, "`executor` .*'manila'"),
        ({"executor": "fake:FakeNowhere"}, ArgumentError, "FakeNowhere"),
        ({"executor": "missing.py:make"}, ArgumentError, "missing.py"),
        ({"executor": "devices.py:network"}, ArgumentTypeError, "`executor`"),
        ({"executor": "devices.py:nothing"}, ArgumentError, "nothing"),
        ({"executor": "devices.py:noisy", "shots": 5}, ArgumentError, "`shots` .*5"),
        ({"executor": "fake:FakeManilaV2", "shots_per_weight": 5}, ArgumentError, "per_weight"),
        ({"executor": "fake:FakeManilaV2"}, UnsupportedError, "qubits"),  # 9 qubits for 163 weights
    ],
)
def test_other_texts_of_executors_raise(settings, error, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.py").write_text(FILE)
    with pytest.raises(error, match=named):
        run_main_job(RunSettings(**SMALL, **settings))
