"""The whole comparison: fairness, invalid arguments, failed runs."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.compare import Tuning, runner
from hybridopt.compare import run as runs
from hybridopt.data import Part
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    DataError,
    HybridOptError,
    OutputError,
    TrainingError,
    UnknownNameError,
)  # fmt: skip

from .conftest import METHODS, quick

pytestmark = pytest.mark.usefixtures("no_page")


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
    pairs = zip(study.runs_of("memory+adam"), study.runs_of("twin+adam"), strict=True)
    for circuit, twin in pairs:
        assert circuit.lr_factor == twin.lr_factor
        np.testing.assert_allclose(circuit.test_loss, twin.test_loss, rtol=1e-5)


def test_costs_and_metrics(study):
    memory, newton, adam = (study.summary(m).values for m in ("memory+adam", "newton", "adam"))
    assert [memory[key][0] for key in ("steps", "settings", "trainable")] == [8, 16, 15]
    assert (newton["steps"], adam["settings"]) == ((2.0, 0.0), (0.0, 0.0))
    scores = [run.test_metric for run in study.runs_of("newton")]
    assert newton["test_metric"] == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    assert all(run.inference_seconds > 0 and run.training_seconds > 0 for run in study.runs)


def test_shuffled_test_labels_change_no_choice():
    data = ho.load_dataset("iris", seed=0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = replace(data, test=Part(data.test.x, data.test.y[order]))
    options = {"methods": ["adam", "twin+adam", "newton"], "budget": 2, "tuning": 3}
    first, second = (quick(data=one, redraw_split=False, **options) for one in (data, shuffled))
    for before, after in zip(first.runs, second.runs, strict=True):
        assert (before.lr_factor, before.rates) == (after.lr_factor, after.rates)
        for one, other in zip(before.trials, after.trials, strict=True):
            assert replace(one, seconds=0) == replace(other, seconds=0)
        assert [p.train_loss for p in before.curve] == [p.train_loss for p in after.curve]
    assert [r.test_metric for r in first.runs] != [r.test_metric for r in second.runs]


def test_base_rates_batch_sizes_and_threads(monkeypatch):
    seen, train = [], runs.train

    def watched(*arguments, **options):
        seen.append(torch.get_num_threads())
        return train(*arguments, **options)

    monkeypatch.setattr(runs, "train", watched)
    before = torch.get_num_threads()
    methods = ["adam", ho.Method("sgd", lr=0.3), "newton"]
    study = quick(methods=methods, batch_size=60, threads=2)
    assert [run.rates for run in study.runs[:4]] == [(0.01,), (0.01,), (0.3,), (0.3,)]
    assert all(run.trials == () for run in study.runs)
    # full-batch methods keep their batches
    assert [run.steps for run in study.runs] == [2, 2, 2, 2, 1, 1]
    assert (set(seen), torch.get_num_threads()) == ({2}, before)


def test_the_arguments_of_the_caller_are_unchanged(aer_calls):
    executor = ho.AerExecutor(shots=10, seed=4)
    network = nn.Linear(4, 3)
    weight, before = network.weight.detach().clone(), executor.state_dict()
    state = torch.get_rng_state()
    study = quick(network=network, methods=["memory+adam"], executor=executor)
    assert executor.state_dict() == before
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(network.weight, weight)
    # 4 steps of 2 settings of 10 shots; two evaluations and five timings are not counted
    assert [(run.shots, run.simulator_runs) for run in study.runs] == [(80, 8)] * 2
    assert executor.usage.settings == sum(aer_calls) == 2 * (8 + 2 + 5)


def test_executors_made_by_a_function():
    made = []

    def executor(seed):
        made.append(seed)
        return ho.AerExecutor(shots=20)

    study = quick(methods=["memory+adam:1"], budget=None, executor=executor)
    assert set(made) == {0, 1}
    assert all(run.shots == 160 for run in study.runs)
    with pytest.raises(ArgumentTypeError, match=r"`executor`.*int"):
        quick(methods=["memory+adam"], executor=lambda seed: seed)


def test_a_failed_run_is_reported_and_the_others_go_on(monkeypatch):
    train = runs.train

    def break_one(experiment, network, data, method, seed, factor):
        if method.name == "sgd" and seed == 1:
            raise RuntimeError("the disk is full of sand")
        return train(experiment, network, data, method, seed, factor)

    monkeypatch.setattr(runs, "train", break_one)
    study = quick()
    (failure,) = study.failures
    assert (failure.method, failure.seed) == ("sgd", 1)
    assert "RuntimeError: the disk is full of sand" in failure.error
    table = study.table()
    assert [row[-1] for row in table.rows] == ["2 of 2", "1 of 2"]
    assert "Failed: sgd, seed 1" in str(table)
    (difference,) = study.differences()
    assert (difference.interval, difference.p_value) == (None, None)


def test_diverged_training_is_a_failed_run():
    task = {"network": "mlp:1-3-1", "data": "linear-regression", "budget": 3, "tuning": 2}
    study = quick(**task, methods=["adam", ho.Method("gd", lr=1e30)])
    assert {run.method for run in study.failures} == {"gd"}
    for run in study.failures:
        assert len(run.trials) == 2
        assert all(trial.metric is None and trial.error for trial in run.trials)


def test_ctrl_c_during_training(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick(methods=["adam"])


def uncalled():
    network = nn.Linear(4, 3)
    network.unused = nn.LazyLinear(3)
    return network


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo):
        raise RuntimeError("never copied")


def without_seed():
    return ho.AerExecutor()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"methods": []}, ArgumentError, "`methods`"),
        ({"methods": "adam"}, ArgumentTypeError, "`methods`"),
        ({"methods": ["twin", "twin+adam"]}, ArgumentError, "`methods`.*'twin\\+adam'"),
        ({"methods": ["adam", ho.Method("adam", name="b")]}, ArgumentError, "'adam' and 'b'"),
        ({"control": "sgd"}, ArgumentError, "`control`.*'sgd'"),
        ({"control": "nothing"}, UnknownNameError, "`control`.*'nothing'"),
        ({"seeds": 1}, ArgumentError, "`seeds`.*2"),
        ({"seeds": 10**12}, ArgumentError, "`seeds`.*10000"),
        ({"seeds": [3, 3]}, ArgumentError, "`seeds`.*3, 3"),
        ({"seeds": [-1, 2]}, ArgumentError, "`seeds`.*-1"),
        ({"seeds": "many"}, ArgumentTypeError, "`seeds`.*'many'"),
        ({"budget": "100 shots"}, ArgumentError, "'adam': `budget`.*shots"),
        ({"methods": ["memory+adam"], "budget": "100 shots"}, ArgumentError,
         "'memory\\+adam': `budget`.*shots"),
        ({"methods": ["adam > memory+adam"], "budget": "9 settings"}, ArgumentError, "settings"),
        ({"methods": ["adam:3"], "budget": 5}, ArgumentError, "`budget`.*'adam:3'"),
        ({"methods": [ho.Method("adam", scheduler="cosine")], "budget": "1 s"}, ArgumentError,
         "`budget`.*'cosine'"),
        ({"methods": [ho.Method("gd", batch_size=8)]}, ArgumentError, "`batch_size`.*8"),
        ({"methods": ["random-subspace(num_parameters=99)+adam"]}, ArgumentError,
         "num_parameters.*99.*15"),
        ({"network": lambda: nn.Linear(5, 3)}, DataError, "shape"),
        ({"network": lambda: nn.Linear(4, 3).requires_grad_(False), "methods": ["memory+adam"]},
         ConversionError, "'memory\\+adam': `network` .*requires_grad=False"),
        ({"network": Uncopyable(4, 3)}, ConversionError, "Uncopyable.*never copied"),
        ({"network": uncalled}, ArgumentError, "`unused.weight`"),
        ({"network": lambda: nn.Sequential(nn.Unflatten(1, (3, 3)), nn.LazyConv1d(2, 1))},
         ArgumentError, "Lazy"),
        ({"data": 3}, ArgumentTypeError, "`data`"),
        ({"data": (torch.randn(1, 4), torch.tensor([0]))}, DataError, "`data`"),
        ({"confidence": 1.0}, ArgumentError, "`confidence`.*1"),
        ({"reach": "high"}, ArgumentTypeError, "`reach`"),
        ({"threads": 0}, ArgumentError, "`threads`"),
        ({"executor": without_seed}, ArgumentError, "`executor`.*TypeError"),
        ({"executor": "CPU"}, ArgumentTypeError, "`executor`"),
        ({"output": 5}, ArgumentTypeError, "`output`.*int"),
        ({"output": "x" * 5000}, OutputError, "x" * 5000),
        ({"workers": 0}, ArgumentError, "`workers`"),
        ({"batch_size": 0}, ArgumentError, "`batch_size`"),
        ({"redraw_split": 1}, ArgumentTypeError, "`redraw_split`"),
        ({"loss": "mse"}, ArgumentTypeError, "`loss`"),
    ],
)  # fmt: skip
def test_invalid_arguments(change, error, message, monkeypatch, aer_calls):
    monkeypatch.setattr(runner, "make_run", None)  # nothing may be trained
    with pytest.raises(error, match=message) as caught:
        quick(**{"methods": ["adam", "memory+adam"], **change})
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


def test_regression_and_pairs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 0.5
    network = functools.partial(nn.Linear, 2, 1, dtype=torch.float64)
    task = {"data": (x, y), "methods": ["newton", "gd"], "control": " gd", "seeds": [4, 9]}
    study = quick(network=network, **task)
    assert (study.metric_name, study.seeds, study.control) == ("r2", (4, 9), "gd")
    assert [run.test_metric for run in study.runs_of("newton")] == pytest.approx([1.0, 1.0])
    assert study.recommend("time", at_least=0.99).method == "newton"
    assert "R²" in study.table().header[1]


def test_without_gradients(aer_calls):
    with torch.no_grad(), pytest.raises(TrainingError, match="no_grad"):
        quick(methods=["adam", "memory+adam"])
    assert aer_calls == []


class Touchy(nn.Linear):
    """A layer that rejects large weights."""

    def forward(self, x):
        if self.weight.abs().max() > 1.5:
            raise ValueError("weights too large")
        return super().forward(x)


def test_a_failed_trial_does_not_stop_the_run():
    study = quick(
        network=lambda: Touchy(4, 3), methods=[ho.Method("sgd", lr=1.0)], budget=5, tuning=4
    )
    assert [run.done for run in study.runs] == [True, True]
    errors = {trial.error for run in study.runs for trial in run.trials}
    assert errors == {None, "ValueError: weights too large"}


def test_a_loss_that_is_nan_from_the_start():
    study = quick(loss=lambda outputs, y: outputs.sum() * float("nan"))
    assert len(study.failures) == 4
    assert all("nan" in run.error for run in study.failures)


@pytest.mark.wrong_types
def test_numpy_numbers(tmp_path):
    study = quick(
        methods=["adam", ho.Method("adam", bridge=Memory(num_angles=np.int64(4)))],
        budget=np.int64(1), seeds=np.arange(2), tuning=Tuning(np.int64(2), np.float32(0.25)),
        reach=np.float32(0.5), confidence=np.float64(0.9), output=tmp_path,
    )  # fmt: skip
    again = ho.load_study(tmp_path)
    assert (again.seeds, again.reach, again.tuning["trials"]) == ((0, 1), 0.5, 2)
    assert again.runs == study.runs
    assert study.details["stages"]["memory+adam"][0]["bridge"]["num_angles"] == 4


def test_loaders_and_datasets_equal_tensors():
    x, y = torch.randn(24, 3, generator=torch.Generator().manual_seed(2)), torch.arange(24) % 2
    whole = TensorDataset(x, y)
    options = {"methods": ["adam", "gd"], "budget": "1 epoch", "seeds": 2, "tuning": None}
    expected = ho.compare(nn.Linear(3, 2), (x, y), batch_size=7, **options)
    for data in (DataLoader(whole, 7, shuffle=True), Subset(whole, range(24))):
        size = {} if isinstance(data, DataLoader) else {"batch_size": 7}
        study = ho.compare(nn.Linear(3, 2), data, **size, **options)
        for one, other in zip(study.runs, expected.runs, strict=True):
            assert (one.test_loss, one.steps) == (other.test_loss, other.steps)


class Sum(nn.Module):
    """Network of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(1, 2)

    def forward(self, a, b):
        return self.a(a) + self.b(b)


def test_several_inputs_and_weights():
    draw = torch.Generator().manual_seed(2)
    a, b = torch.randn(24, 3, generator=draw), torch.randn(24, 1, generator=draw)
    y, weight = torch.arange(24) % 2, torch.arange(24) % 3  # 16 samples have weights above 0
    methods = ["adam", "memory+adam"]
    options = {"seeds": 2, "tuning": None, "budget": "90 settings, 1 epoch"}
    study = ho.compare(Sum(), ({"b": b, "a": a}, y, weight), methods=methods, **options)
    assert {run.status for run in study.runs} == {"done"}
    assert study.details["samples"] == {"train": 13, "test": 3}
    kept = weight > 0
    removed = (a[kept], b[kept]), y[kept], weight[kept]
    options["methods"] = ["adam"]
    for data, equal in ((removed, True), (removed[:2], False)):
        losses = [run.test_loss for run in ho.compare(Sum(), data, **options).runs]
        assert (losses == [run.test_loss for run in study.runs[:2]]) == equal
