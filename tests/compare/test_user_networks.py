"""Networks, executors and files of the user's own: drawn by the seed, or refused in our words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.compare import Tuning
from hybridopt.compare import plan as plans
from hybridopt.compare.resampling import draw_network
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    OutputError,
)

QUICK = {"network": "mlp:4-3", "data": "iris", "budget": 1, "seeds": 2, "tuning": None}
IRIS = ho.load_dataset("iris")
LONG = "x" * 5000


@pytest.fixture(autouse=True)
def _no_page(monkeypatch):
    monkeypatch.setattr("hybridopt.compare.study.Study.to_html", lambda study, path: path)


def compare(**change):
    return ho.compare(**{**QUICK, "methods": ["adam", "sgd"], **change})


# -- lazy layers


def lazy():
    return nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(3))


def lazy_network():
    return nn.Sequential(nn.LazyLinear(5), nn.BatchNorm1d(5), nn.Tanh(), nn.LazyLinear(3))


# torch cannot copy a LazyBatchNorm that has no shape yet
@pytest.mark.parametrize("source", [lazy, lazy_network()], ids=["function", "network"])
def test_lazy_layers_start_from_the_seed(source):
    first, second = (draw_network(source, IRIS, 3).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["0.weight"], draw_network(source, IRIS, 4)[0].weight)
    assert first["1.num_batches_tracked"] == 0
    study = compare(network=source)
    for seed in range(2):
        assert len({run.curve[0].test_loss for run in study.runs if run.seed == seed}) == 1
    assert ho.recommend(source, "iris").method == "adam"


def test_lazy_layers_around_a_circuit_run_none(aer_calls):
    def network():
        circuit = ho.DressedCircuit(4, 3, num_qubits=3, depth=1).layer
        return nn.Sequential(nn.LazyLinear(3), circuit, nn.LazyLinear(3))

    assert draw_network(network, IRIS, 0)[2].weight.shape == (3, 3)
    assert aer_calls == []


class Uncalled(nn.Module):
    """Holds a lazy layer that it never uses."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.LazyLinear(3)

    def forward(self, x):
        return self.used(x)


# -- what users' code raises


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo):
        raise RuntimeError("never copied")


class Unpicklable(nn.Linear):
    def __reduce__(self):
        raise RuntimeError("never pickled")


class Undrawable(nn.Linear):
    def reset_parameters(self):
        if hasattr(self, "made"):
            raise RuntimeError("drawn but once")
        self.made = True
        super().reset_parameters()


def without_seed():
    return ho.AerExecutor()


def raising(*_):
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": raising}, ArgumentError, "as `network` failed: RuntimeError: out of order"),
        ({"network": Uncopyable(4, 3)}, ArgumentError, "cannot be copied.*never copied"),
        ({"network": lazy()}, ArgumentError, "cannot be copied"),
        ({"network": Unpicklable(4, 3), "workers": 2}, ArgumentError, "never pickled"),
        ({"network": nn.Sequential(Undrawable(4, 3))}, ArgumentError,
         "Layer `0` .Undrawable. could not be drawn anew.*drawn but once"),
        ({"network": Uncalled}, ArgumentError, "lazy layers that it does not call"),
        ({"network": lambda: nn.Sequential(nn.Unflatten(1, (3, 3)), nn.LazyConv1d(2, 1))},
         ArgumentError, "lazy layers, and their shapes do not follow"),
        ({"network": lambda: ho.to_quantum(nn.Linear(4, 3), "memory")}, ArgumentError,
         "is a quantum network already"),
        ({"executor": without_seed, "methods": ["memory+adam"]}, ArgumentError,
         "as `executor` failed for seed 0: TypeError.*must take a seed"),
        ({"executor": raising}, ArgumentError, "as `executor` failed for seed 0: RuntimeError"),
        ({"output": 5}, ArgumentTypeError, "`output` must be a path.*but is 5"),
        ({"output": b"x"}, ArgumentTypeError, "`output` must be a path"),
        ({"output": LONG}, OutputError, "Cannot write"),
    ],
)  # fmt: skip
def test_what_is_refused(change, error, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plans.Plan, "run", None)
    with pytest.raises(error, match=message):
        compare(**change)


class Touchy(nn.Linear):
    """Refuses large weights, as networks of users do."""

    def forward(self, x):
        if self.weight.abs().max() > 1.5:
            raise ValueError("weights too large")
        return super().forward(x)


def test_a_trial_in_which_the_network_raises_is_lost_and_the_run_goes_on():
    study = compare(
        network=lambda: Touchy(4, 3), methods=[ho.Method("sgd", lr=1.0)], budget=5, tuning=4
    )
    assert [run.done for run in study.runs] == [True, True]
    errors = {trial.error for run in study.runs for trial in run.trials}
    assert errors == {None, "ValueError: weights too large"}


def test_a_loss_that_is_nan_from_the_start_is_said_to_be_so():
    study = compare(loss=lambda outputs, y: outputs.sum() * float("nan"))
    assert {run.error.split(": ")[1] for run in study.failures} == {
        "The loss on the samples kept apart is nan before training."
    }


# -- numbers of NumPy, and files


def test_numbers_of_numpy_are_numbers(tmp_path):
    study = compare(
        methods=["adam", ho.Method("adam", bridge=Memory(num_angles=np.int64(4)))],
        budget=np.int64(1), seeds=np.arange(2), tuning=Tuning(np.int64(2), np.float32(0.25)),
        reach=np.float32(0.5), confidence=np.float64(0.9), output=tmp_path,
    )  # fmt: skip
    again = ho.load_study(tmp_path)
    assert (again.seeds, again.reach, again.tuning["trials"]) == ((0, 1), 0.5, 2)
    assert again.runs == study.runs
    assert study.details["stages"]["memory+adam"][0]["bridge"]["num_angles"] == 4


@pytest.mark.parametrize("name", ["study.json", "report.html"])
def test_a_folder_where_a_file_shall_stand_is_refused_at_once(name, tmp_path, monkeypatch):
    monkeypatch.setattr(plans.Plan, "run", None)
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name}: it is a folder"):
        compare(output=tmp_path)


def damages():
    def change(**values):
        return lambda content: content["run"].update(values)

    yield from [change(curve=[]), change(curve=[3]), change(curve=None), change(extra=1)]
    yield from [change(test_metric="a"), change(test_metric=None), change(status="dne")]
    yield from [change(seed=99), change(seed="0"), change(rates=["x"]), change(trials=[{}])]
    yield from [change(shots=True), lambda content: content.update(run=None)]
    yield lambda content: content["run"].pop("method")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybridopt.compare.study.Study.to_html", lambda study, path: path)
        compare(output=folder)
    return folder


@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_run_is_told(damage, stored):
    path = min((stored / "runs").iterdir())
    whole = path.read_text()
    content = json.loads(whole)
    damage(content)
    try:
        path.write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=f"{path.name} is damaged .* Delete it"):
            compare(output=stored)
    finally:
        path.write_text(whole)


def test_nesting_and_folders_in_the_place_of_runs_are_told(stored):
    path = min((stored / "runs").iterdir())
    whole = path.read_text()
    path.write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="nested too deep"):
        compare(output=stored)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"{path.name} is damaged .IsADirectoryError"):
        compare(output=stored)
    path.rmdir()
    path.write_text(whole)


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": 3}, {"tuning": {"trials": 3}}, {"metric_name": "beauty"}, {"details": []},
        {"confidence": 2}, {"confidence": "a"}, {"methods": "adam"}, {"methods": [3]},
        {"control": "other"}, {"seeds": [0]}, {"seeds": [0, "1"]}, {"reach": "x"}, {"budget": 5},
        {"runs": []}, {"runs": {}}, {"details": {"stages": {"adam": 3}}},
        {"details": {"samples": {"train": 3}}}, {"details": {"versions": 3}},
    ],
)  # fmt: skip
def test_a_damaged_study_is_told(change, stored, tmp_path):
    content = json.loads((stored / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(CheckpointError, match="is damaged"):
        ho.load_study(tmp_path)
    for name in change:
        del content[name]
        (tmp_path / "study.json").write_text(json.dumps(content))
        if name in {"confidence", "reach", "details"}:
            assert ho.load_study(tmp_path).control == "adam"
        else:
            with pytest.raises(CheckpointError, match=f"`{name}` is missing"):
                ho.load_study(tmp_path)


def test_paths_that_are_none(stored):
    study = ho.load_study(stored)
    for path in (None, 5, b"x"):
        for call in (study.save, ho.load_study):
            with pytest.raises(ArgumentTypeError, match="`path` must be a path"):
                call(path)
    with pytest.raises(ArgumentTypeError, match="`path` must be a path"):
        study.plot(5)
    with pytest.raises(ArgumentTypeError, match="`path` must be a path"):
        study.table().to_csv(5)
    for call in (study.save, study.plot, study.table().to_csv):
        with pytest.raises(OutputError, match="Cannot write"):
            call(LONG)
    with pytest.raises(CheckpointError, match="is damaged or no study"):
        ho.load_study(LONG)
