"""The comparison as a whole: fairness, refusals before anything trains, failures, resuming."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import plan as plans
from hybridopt.data import Part
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    ConversionError,
    DataError,
    HybridOptError,
    OutputError,
    TrainingError,
    UnknownNameError,
)

from .conftest import METHODS

QUICK = {"network": "mlp:4-3", "data": "iris", "budget": 1, "seeds": 2, "tuning": None}


@pytest.fixture(autouse=True)
def _no_page(monkeypatch):
    """Pages take longer than all else here; tests/study/comparison/test_study.py looks at them."""
    monkeypatch.setattr("hybridopt.compare.study.Study.to_html", lambda study, path: path)


def numbers(study):
    """Everything of the runs but times."""
    kept = []
    for run in study.runs:
        content = run.to_dict()
        content["curve"] = [{**point, "seconds": 0} for point in content["curve"]]
        content["trials"] = [{**trial, "seconds": 0} for trial in content["trials"]]
        kept.append({**content, "training_seconds": 0, "inference_seconds": 0})
    return kept


def test_a_run_for_each_method_and_seed(study):
    assert [(run.method, run.seed) for run in study.runs] == [
        (method, seed) for method in METHODS for seed in range(3)
    ]
    assert study.failures == []
    assert (study.control, study.metric_name, study.budget) == ("adam", "accuracy", "2 epochs")
    assert {len(run.trials) for run in study.runs} == {2}


def test_methods_share_split_weights_and_order(study):
    starts = {}
    for run in study.runs:
        starts.setdefault(run.seed, set()).add(run.curve[0].test_loss)
    assert all(len(losses) == 1 for losses in starts.values())
    assert len(set.union(*starts.values())) == 3
    # the twin is the circuit's formula: the same up to the rounding of 16 steps in float32
    for seed in range(3):
        circuit, twin = (
            next(r for r in study.runs if (r.method, r.seed) == (name, seed))
            for name in ("memory+adam", "twin+adam")
        )
        assert circuit.factor == twin.factor
        np.testing.assert_allclose(circuit.test_loss, twin.test_loss, rtol=1e-5)


def test_what_is_reported(study):
    memory = study.summary("memory+adam").values
    assert memory["steps"] == (8.0, 0.0)
    assert memory["settings"] == (16.0, 0.0)
    assert memory["trainable"] == (15.0, 0.0)
    assert study.summary("newton").values["steps"] == (2.0, 0.0)
    assert study.summary("adam").values["settings"] == (0.0, 0.0)
    scores = [run.test_metric for run in study.runs_of("newton")]
    assert study.summary("newton").values["test_metric"] == pytest.approx(
        (np.mean(scores), np.std(scores, ddof=1))
    )
    assert all(run.inference_seconds > 0 and run.training_seconds > 0 for run in study.runs)


def test_shuffled_test_labels_change_no_choice():
    data = ho.load_dataset("iris", seed=0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = replace(data, test=Part(data.test.x, data.test.y[order]))
    first, second = (
        ho.compare(
            "mlp:4-3", one, methods=["adam", "twin+adam", "newton"], budget=2, seeds=2, tuning=3,
            redraw_split=False,
        )
        for one in (data, shuffled)
    )  # fmt: skip
    for before, after in zip(first.runs, second.runs, strict=True):
        assert (before.factor, before.rates) == (after.factor, after.rates)
        for one, other in zip(before.trials, after.trials, strict=True):
            assert replace(one, seconds=0) == replace(other, seconds=0)
        assert [p.train_loss for p in before.curve] == [p.train_loss for p in after.curve]
    assert [r.test_metric for r in first.runs] != [r.test_metric for r in second.runs]


def test_without_tuning_rates_are_the_base():
    study = ho.compare(methods=["adam", ho.Method("sgd", lr=0.3)], **QUICK)
    assert {run.rates for run in study.runs} == {(0.01,), (0.3,)}
    assert all(run.trials == () for run in study.runs)


def test_the_caller_is_left_alone():
    executor = ho.AerExecutor(shots=10, seed=4)
    network = nn.Linear(4, 3)
    weight, before = network.weight.detach().clone(), executor.state_dict()
    state = torch.get_rng_state()
    study = ho.compare(**{**QUICK, "network": network}, methods=["memory+adam"], executor=executor)
    assert executor.state_dict() == before
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(network.weight, weight)
    # 4 steps of 2 settings of 10 shots; beside them what evaluation and timing read
    assert [run.shots for run in study.runs] == [80, 80]
    assert executor.usage.settings == 2 * (8 + 2 + 5)


def test_circuits_run_as_often_as_is_said(aer_calls):
    study = ho.compare(methods=["memory+adam", "adam"], **QUICK)
    assert sum(run.simulator_runs for run in study.runs) == 2 * 8
    assert sum(aer_calls) == 2 * (8 + 2 + 5)  # training, two evaluations, five timings


def test_executors_made_by_a_function():
    made = []

    def executor(seed):
        made.append(seed)
        return ho.AerExecutor(shots=20)

    study = ho.compare(methods=["memory+adam"], executor=executor, **QUICK)
    assert set(made) == {0, 1}
    assert all(run.shots == 160 for run in study.runs)
    with pytest.raises(ArgumentTypeError, match="must return an executor"):
        ho.compare(methods=["memory+adam"], executor=lambda seed: seed, **QUICK)


def test_a_failing_run_is_reported_and_the_others_go_on(monkeypatch):
    train = plans.train

    def break_one(network, data, method, **options):
        if method.name == "sgd" and options["seed"] == 1:
            raise RuntimeError("the disk is full of sand")
        return train(network, data, method, **options)

    monkeypatch.setattr(plans, "train", break_one)
    study = ho.compare(methods=["adam", "sgd"], **QUICK)
    (failure,) = study.failures
    assert (failure.method, failure.seed) == ("sgd", 1)
    assert "RuntimeError: the disk is full of sand" in failure.error
    table = study.table()
    assert [row[-1] for row in table.rows] == ["2 of 2", "1 of 2"]
    assert "Failed: sgd, seed 1" in str(table)
    (difference,) = study.differences()
    assert (difference.interval, difference.p_value) == (None, None)


def test_training_that_diverges_is_a_failed_run_and_a_lost_trial():
    study = ho.compare(
        "mlp:1-3-1", "linear-regression", methods=["adam", ho.Method("gd", lr=1e30)], budget=3,
        seeds=2, tuning=2,
    )  # fmt: skip
    assert {run.method for run in study.failures} == {"gd"}
    for run in study.failures:
        assert "All trials of tuning failed" in run.error
        assert len(run.trials) == 2
        assert all(trial.metric is None and trial.error for trial in run.trials)


def test_resumed_it_reads_what_is_stored(study, folder, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("nothing shall be trained")

    monkeypatch.setattr(plans.Plan, "run", forbidden)
    again = ho.compare(
        "mlp:4-3", "iris", methods=METHODS, budget="2 epochs", seeds=3, tuning=2, output=folder
    )
    assert again.runs == study.runs


def test_interrupted_it_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    whole = ho.compare(methods=["adam", "memory+adam"], **QUICK)
    run, seen = plans.Plan.run, []

    def interrupted(plan, method, seed):
        seen.append((method.name, seed))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return run(plan, method, seed)

    monkeypatch.setattr(plans.Plan, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ho.compare(methods=["adam", "memory+adam"], output=tmp_path, **QUICK)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    resumed = ho.compare(methods=["adam", "memory+adam"], output=tmp_path, **QUICK)
    assert seen[3:] == [("memory+adam", 0), ("memory+adam", 1)]
    assert numbers(resumed) == numbers(whole)


def test_ctrl_c_in_the_midst_of_training_is_no_result(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ho.compare(methods=["adam"], **QUICK)


def test_changed_settings_are_kept_apart(tmp_path):
    first = ho.compare(methods=["adam", "gd"], output=tmp_path, **QUICK)
    for change in ({"budget": 2}, {"tuning": 2}, {"network": "mlp:4-2-3"}, {"data": "moons",
                   "network": "mlp:2-2"}, {"loss": nn.MultiMarginLoss()}):  # fmt: skip
        before = len(list((tmp_path / "runs").iterdir()))
        ho.compare(methods=["adam", "gd"], output=tmp_path, **{**QUICK, **change})
        assert len(list((tmp_path / "runs").iterdir())) == before + 4, change
    more = ho.compare(methods=["gd", "adam", "sgd"], output=tmp_path, **{**QUICK, "seeds": 3})
    for run in first.runs:  # seeds and methods are added to what is there
        assert run in more.runs


def test_changed_samples_and_weights_are_kept_apart(tmp_path):
    data = ho.load_dataset("iris")
    moved = replace(data, train=Part(data.train.x + 1, data.train.y))
    scaled = nn.Linear(4, 3)
    scaled.reset_parameters = lambda: nn.init.normal_(scaled.weight)
    for network, samples in ((nn.Linear(4, 3), data), (nn.Linear(4, 3), moved), (scaled, data)):
        before = len(list((tmp_path / "runs").iterdir())) if (tmp_path / "runs").exists() else 0
        ho.compare(
            **{**QUICK, "network": network, "data": samples}, methods=["adam"], output=tmp_path
        )
        assert len(list((tmp_path / "runs").iterdir())) == before + 2


def test_failed_runs_are_made_again(tmp_path, monkeypatch):
    run = plans.Plan.run
    with monkeypatch.context() as patch:
        patch.setattr(
            plans.Plan, "run", lambda plan, method, seed: plans.failed(method.name, seed, "gone")
        )
        assert len(ho.compare(methods=["adam"], output=tmp_path, **QUICK).failures) == 2
    assert plans.Plan.run is run
    assert ho.compare(methods=["adam"], output=tmp_path, **QUICK).failures == []


def test_a_damaged_run_is_named(tmp_path):
    ho.compare(methods=["adam"], output=tmp_path, **QUICK)
    path = next((tmp_path / "runs").iterdir())
    for content in ("{", "{}", json.dumps({"run": {"method": "adam"}}), "[]"):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=f"{path.name} is damaged .* Delete it"):
            ho.compare(methods=["adam"], output=tmp_path, **QUICK)


def test_progress_names_what_runs(capsys):
    ho.compare(methods=["adam"], progress=True, **QUICK)
    assert "2/2" in capsys.readouterr().out


def lstm():
    return nn.LSTM(4, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"methods": []}, ArgumentError, "`methods` is empty"),
        ({"methods": "adam"}, ArgumentTypeError, "must be a list of methods"),
        ({"methods": ["adam", "adam"]}, ArgumentError, "'adam' is given twice"),
        ({"methods": ["twin", "twin+adam"]}, ArgumentError, "'twin\\+adam' is given twice"),
        ({"methods": ["adam", ho.Method("adam", name="b")]}, ArgumentError, "are the same"),
        ({"methods": ["adma"]}, UnknownNameError, "Did you mean .*'adam'"),
        ({"control": "sgd"}, ArgumentError, "'sgd' is not among the methods: adam, memory\\+adam"),
        ({"control": "nothing"}, UnknownNameError, "'nothing' is not among the methods: adam, mem"),
        ({"seeds": 1}, ArgumentError, "`seeds` must be 2 or more"),
        ({"seeds": 10**12}, ArgumentError, "`seeds` must be 10,000 or fewer"),
        ({"seeds": range(10**12)}, ArgumentError, "`seeds` must be 10,000 or fewer"),
        ({"seeds": [3]}, ArgumentError, "`seeds` must be 2 or more"),
        ({"seeds": [3, 3]}, ArgumentError, "holds a seed twice"),
        ({"seeds": [-1, 2]}, ArgumentError, "`seeds` must be 0 or more"),
        ({"seeds": "many"}, ArgumentTypeError, "`seeds` must be an int"),
        ({"budget": "100 shots"}, ArgumentError, "'adam': it runs no circuit"),
        ({"methods": ["memory+adam"], "budget": "100 shots"}, ArgumentError,
         "'memory\\+adam': it simulates exactly, so it takes no shots: give an executor"),
        ({"methods": ["memory+adam"], "budget": "1 setting"}, ArgumentError,
         "one step takes 2 settings, but the budget is 1"),
        ({"methods": ["adam > memory+adam"], "budget": "9 settings"}, ArgumentError,
         "it runs no circuit, so it would spend no settings for ever"),
        ({"methods": ["adam:3"], "budget": 5}, ArgumentError, "asks for 3 epochs"),
        ({"methods": ["adam:2 > sgd:2"], "budget": 1}, ArgumentError, "less than one for each"),
        ({"methods": [ho.Method("adam", scheduler="cosine")], "budget": "1 s"}, ArgumentError,
         "runs over the epochs"),
        ({"methods": [ho.Method("gd", batch_size=8)]}, ArgumentError, "uses all samples"),
        ({"methods": ["random-subspace(num_parameters=99)+adam"]}, ArgumentError,
         "num_parameters is 99, but the network has 15"),
        ({"network": "mlp:5-3"}, ArgumentError, "needs `mlp:4-...-3`"),
        ({"network": lambda: nn.Linear(5, 3)}, DataError, "cannot take x of shape"),
        ({"network": lstm}, DataError, "must return one tensor"),
        ({"network": 3}, ArgumentTypeError, "`network` must be a torch.nn.Module"),
        ({"network": lambda: nn.Linear(4, 3).requires_grad_(False), "methods": ["memory+adam"]},
         ConversionError, "frozen"),
        ({"data": "irsi"}, UnknownNameError, "Did you mean 'iris'"),
        ({"data": 3}, ArgumentTypeError, "`data` must be a Dataset"),
        ({"data": (torch.randn(1, 4), torch.tensor([0]))}, DataError, "too few"),
        ({"tuning": -1}, ArgumentError, "`tuning` must be 0 or more"),
        ({"confidence": 1.0}, ArgumentError, "`confidence` must be less than 1"),
        ({"confidence": 0}, ArgumentError, "`confidence` must be more than 0"),
        ({"reach": "high"}, ArgumentTypeError, "`reach` must be a number"),
        ({"threads": 0}, ArgumentError, "`threads` must be 1 or more"),
        ({"workers": 0}, ArgumentError, "`workers` must be 1 or more"),
        ({"batch_size": 0}, ArgumentError, "`batch_size` must be 1 or more"),
        ({"executor": "CPU"}, ArgumentTypeError, "`executor` must be an executor"),
        ({"redraw_split": 1}, ArgumentTypeError, "`redraw_split` must be True or False"),
        ({"loss": "mse"}, ArgumentTypeError, "`loss` must be a torch loss module"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_trains(change, error, message, monkeypatch, aer_calls):
    def forbidden(*arguments, **options):
        raise AssertionError("nothing shall be trained")

    monkeypatch.setattr(plans.Plan, "run", forbidden)
    with pytest.raises(error, match=message) as caught:
        ho.compare(**{**QUICK, "methods": ["adam", "memory+adam"], **change})
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(plans.Plan, "run", None)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write to the output folder"):
        ho.compare(methods=["adam"], output=tmp_path / "file", **QUICK)


def test_each_run_has_its_threads(monkeypatch):
    seen, train = [], plans.train

    def watched(*arguments, **options):
        seen.append(torch.get_num_threads())
        return train(*arguments, **options)

    monkeypatch.setattr(plans, "train", watched)
    before = torch.get_num_threads()
    ho.compare(methods=["adam"], threads=2, **QUICK)
    assert (seen, torch.get_num_threads()) == ([2, 2], before)


def test_batches_of_a_size():
    study = ho.compare(methods=["adam", "newton"], batch_size=60, **QUICK)
    assert [run.steps for run in study.runs] == [2, 2, 1, 1]  # full-batch methods keep theirs


def test_regression_and_pairs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 0.5
    study = ho.compare(
        lambda: nn.Linear(2, 1, dtype=torch.float64), (x, y), methods=["newton", "gd"], budget=1,
        seeds=[4, 9], tuning=None,
    )  # fmt: skip
    assert (study.metric_name, study.seeds) == ("r2", (4, 9))
    assert [run.test_metric for run in study.runs_of("newton")] == pytest.approx([1.0, 1.0])
    assert study.recommend("time", at_least=0.99).method == "newton"
    assert "R²" in study.table().header[1]


def test_without_gradients_nothing_is_compared(aer_calls):
    with torch.no_grad(), pytest.raises(TrainingError, match="Training needs gradients"):
        ho.compare(**QUICK, methods=["adam", "memory+adam"])
    assert aer_calls == []
