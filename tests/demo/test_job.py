from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridopt.demo import RunSettings, run_main_job
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, UnknownNameError
from hybridopt.execution import AerExecutor, Cost

STEPS = 4  # 120 training samples of iris in batches of 32
SMALL = {"data": "iris", "epochs": 2, "fine_tuning_epochs": 1}


def test_stages_and_controls(outcome):
    assert [stage.name for stage in outcome.stages] == ["classical-start", "quantum", "fine-tuned"]
    assert [c.name for c in outcome.controls] == ["classical", "random-subspace", "twin"]
    assert [len(stage.history) for stage in outcome.stages] == [1, 2, 1]
    assert [len(control.history) for control in outcome.controls] == [4, 3, 3]
    assert outcome.metric_name == "accuracy"


def test_controls_take_as_many_steps_with_as_many_numbers(outcome):
    weights = 4 * 20 + 20 + 20 * 3 + 3
    assert {result.trainable for result in (*outcome.stages, *outcome.controls)} == {weights}
    assert [result.steps for result in outcome.stages] == [STEPS, 2 * STEPS, STEPS]
    assert [result.steps for result in outcome.controls] == [4 * STEPS, 3 * STEPS, 3 * STEPS]


def test_settings_are_counted_on_the_circuit_alone(outcome):
    settings = 2 * (2 * STEPS + 1)  # epochs of two settings a step, and a reading to evaluate
    assert outcome.stages[1].cost == Cost(settings, 0, settings)
    others = [outcome.stages[0], outcome.stages[2], *outcome.controls]
    assert {result.cost for result in others} == {Cost()}


def test_the_twin_equals_the_circuit(outcome):
    # the same formula to 1e-10 before it is rounded to float32, whose steps then may differ in
    # the last place: 12 steps of relative size 2^-24
    _, quantum, tuned = outcome.stages
    twin = outcome.controls[2]
    losses = [*quantum.history.train_loss, *tuned.history.train_loss]
    np.testing.assert_allclose(twin.history.train_loss, losses, rtol=100 * 2.0**-24)
    assert twin.history.metric == [*quantum.history.metric, *tuned.history.metric]
    assert twin.test_metric == tuned.test_metric
    assert twin.test_metric_before_fine_tuning == quantum.test_metric


def test_exact_conversions_change_no_weight(outcome):
    assert [stage.conversion_change for stage in outcome.stages] == [None, 0.0, 0.0]


def test_the_circuit_moved_the_weights(outcome):
    start, quantum, tuned = outcome.weights.values()
    assert list(outcome.weights) == ["classical start", "quantum", "fine-tuned"]
    assert (quantum - start).abs().max() > 1e-3
    own = torch.cat([p.detach().flatten().double() for p in outcome.network.parameters()])
    assert torch.equal(own, tuned)


def test_the_metric_is_that_of_the_network(outcome):
    test = outcome.data.test
    outputs = outcome.network.eval()(test.x)
    assert (outputs.argmax(1) == test.y).double().mean() == outcome.stages[-1].test_metric


def test_same_seed_same_numbers(outcome):
    again = run_main_job(RunSettings(**SMALL, seed=4))
    for one, other in zip(
        (*outcome.stages, *outcome.controls), (*again.stages, *again.controls), strict=True
    ):
        assert one.history.train_loss == other.history.train_loss
        assert one.test_metric == other.test_metric


def test_shots_are_counted_and_change_the_weights_that_are_read():
    outcome = run_main_job(RunSettings(**SMALL, shots_per_weight=8))
    quantum = outcome.stages[1]
    assert quantum.cost.shots == quantum.cost.settings * 8 * 256  # places for 163 weights
    # residual form: a weight is read as w0 + 0.1 (+-) 1/sqrt(8), each to at most 0.1
    for stage in outcome.stages[1:]:
        assert 0 < stage.conversion_change <= 0.1 + 1e-6
    assert outcome.controls[2].cost == Cost()


@pytest.mark.parametrize("optimizer", ["gd", "newton"])
def test_other_optimizers(optimizer):
    settings = RunSettings(**SMALL, network="mlp:4-3", optimizer=optimizer)
    outcome = run_main_job(settings)
    assert [stage.steps for stage in outcome.stages] == [1, 2, 1]
    quantum = outcome.stages[1]
    assert quantum.history.train_loss[-1] < quantum.history.train_loss[0]


@pytest.mark.parametrize("shots", [{"shots": 10**20}, {"shots_per_weight": 10**18}])
def test_too_many_shots_are_refused_before_anything_trains(shots, monkeypatch, aer_calls):
    trained = []
    monkeypatch.setattr("hybridopt.demo.job.fit", lambda *a, **k: trained.append(1))
    with pytest.raises(ArgumentError, match="`shots` must be"):
        run_main_job(RunSettings(**SMALL, **shots))
    assert (trained, aer_calls) == ([], [])


def test_times_are_those_of_one_thread_wherever_it_is_called(monkeypatch):
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
    run, calls = AerExecutor.run, []

    def interrupted(executor, job):
        calls.append(job)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return run(executor, job)

    monkeypatch.setattr(AerExecutor, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_main_job(RunSettings(**SMALL))
    assert len(calls) == 5


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"optimizer": "adma"}, UnknownNameError, "Unknown optimizer 'adma'"),
        ({"start_epochs": 0}, ArgumentError, "`start_epochs` must be 1 or more"),
        ({"epochs": 0}, ArgumentError, "`epochs` must be 1 or more"),
        ({"epochs": -1}, ArgumentError, "`epochs` must be 1 or more"),
        ({"fine_tuning_epochs": 1.0}, ArgumentTypeError, "`fine_tuning_epochs` must be an int"),
        ({"shots": 0}, ArgumentError, "`shots` must be 1 or more"),
        ({"shots": 10.0}, ArgumentTypeError, "`shots` must be an int"),
        ({"shots": True}, ArgumentTypeError, "`shots` must be an int"),
        ({"shots_per_weight": -1}, ArgumentError, "`shots_per_weight` must be 1 or more"),
        ({"shots": 10, "shots_per_weight": 1}, ArgumentError, "not both"),
        ({"seed": -1}, ArgumentError, "`seed` must be 0 or more"),
        ({"seed": None}, ArgumentTypeError, "`seed` must be an int"),
    ],
)
def test_settings_that_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        RunSettings(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "irsi"}, UnknownNameError, "Unknown dataset 'irsi'. Did you mean 'iris'"),
        ({"network": "mlp:64-20-10"}, ArgumentError, "needs `mlp:4-...-3`"),
        ({"network": "{file}:narrow"}, DataError, "cannot take x of shape"),
        ({"network": "{file}:frozen"}, ArgumentError, "frozen parameters only"),
    ],
)
def test_jobs_that_are_refused_before_a_circuit_runs(
    arguments, error, message, tmp_path, aer_calls
):
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
