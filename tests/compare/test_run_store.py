"""A folder belongs to one comparison: what is taken up again, refused, damaged or too old."""

from __future__ import annotations

import functools
import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn import functional

import hybridopt as ho
from hybridopt.compare import api, runner
from hybridopt.compare.results import failed
from hybridopt.data import Part
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, OutputError

from .conftest import METHODS, quick

pytestmark = pytest.mark.usefixtures("no_page")
EARLIER = Path(__file__).parents[1] / "schemas"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ho.Study, "to_html", lambda study, path: path)
        quick(output=folder)
    return folder


@pytest.fixture
def copied(stored, tmp_path):
    return Path(shutil.copytree(stored, tmp_path / "copied"))


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr(runner, "make_run", None)


@pytest.mark.usefixtures("nothing_runs")
def test_resumed_it_reads_what_is_stored(study, folder):
    again = ho.compare(
        "mlp:4-3", "iris", methods=METHODS, budget="2 epochs", seeds=3, tuning=2, output=folder
    )
    assert again.runs == study.runs


def moved():
    data = ho.load_dataset("iris")
    return replace(data, train=Part(data.train.x + 1, data.train.y))


CHANGES = {
    "budget": ({"budget": 2}, "budget was '1 epoch' and is '2 epochs'"),
    "methods": ({"methods": ["adam", "gd"]}, "method sgd changed; method gd changed"),
    "options": ({"methods": ["adam", "sgd(momentum=0.9)"]}, r"method sgd\(momentum=0.9\) changed"),
    "batches": ({"batch_size": 7}, "method adam changed"),
    "seeds": ({"seeds": 3}, r"seeds was \[0, 1\] and is \[0, 1, 2\]"),
    "tuning": ({"tuning": 2}, "tuning changed"),
    "threads": ({"threads": 2}, "threads was 1 and is 2"),
    "network": ({"network": "mlp:4-2-3"}, "starting weights of seed 0 .*network changed"),
    "data": ({"data": moved()}, "data of seed 0 was '.*' and is"),
    "loss": ({"loss": nn.MultiMarginLoss()}, "loss changed"),
    "executor": ({"executor": ho.AerExecutor(shots=5)}, "executor changed"),
}


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_another_comparison_is_refused_and_says_what_differs(change, message, stored):
    before = sorted(stored.rglob("*"))
    with pytest.raises(CheckpointError, match=f"{message}.*: use a new folder or resume='force'"):
        quick(output=stored, **change)
    assert sorted(stored.rglob("*")) == before


def test_versions_count(copied):
    record = copied / "comparison.json"
    record.write_text(record.read_text().replace(torch.__version__, "0.4"))
    with pytest.raises(CheckpointError, match=r"version of torch was '0\.4' and is"):
        quick(output=copied)


def test_by_force_finished_runs_are_taken_by_method_and_seed(copied):
    before = ho.load_study(copied)
    study = quick(output=copied, resume="force", methods=["sgd", "gd"], seeds=3)
    assert [run for run in study.runs if run in before.runs] == before.runs_of("sgd")
    assert len(study.runs) == 6
    assert quick(output=copied, methods=["sgd", "gd"], seeds=3).runs == study.runs


@pytest.mark.wrong_types
def test_resume_is_one_of_three(copied):
    with pytest.raises(CheckpointError, match="holds runs already"):
        quick(output=copied, resume=False)
    with pytest.raises(ArgumentError, match="`resume` must be True, False or 'force'"):
        quick(output=copied, resume="yes")


def not_made(experiment, method, seed):
    return failed(method.name, seed, "not made")


MODULE = """
import torch
class Net(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x){more}
def make():
    return Net(4, 3)
def loss(outputs, y):
    return torch.nn.functional.cross_entropy(outputs, y){more}
"""


@pytest.mark.parametrize("kind", ["file", "network", "instance", "loss"])
def test_the_text_of_the_users_code_counts(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "make_run", not_made)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / f"users_{kind}.py"

    def again(more):
        file.write_text(MODULE.format(more=more))
        importlib.invalidate_caches()
        module = importlib.import_module(file.stem)
        change = {
            "file": {"network": f"{file}:make"},
            "network": {"network": functools.partial(module.make)},
            "instance": {"network": module.Net(4, 3)},
            "loss": {"loss": module.loss},
        }[kind]
        quick(output=tmp_path / "out", **change)

    again("")
    again("")
    with pytest.raises(CheckpointError, match="code changed: use a new folder or resume='force'"):
        again(" * 10 ")


def make_loss(factor):
    return lambda outputs, y: factor * functional.cross_entropy(outputs, y)


class Twice(nn.Module):
    """A loss around another."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner


def noisy(strength):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(strength, 1), ["ry"])
    return ho.AerExecutor(shots=10, noise_model=model)


def circuit(observable):
    circuit, inputs, weights, _ = ho.load_circuit("strongly_entangling")
    layer = ho.CircuitLayer(circuit, inputs, weights, [observable] * 3)
    return nn.Sequential(nn.Linear(4, layer.in_features), layer)


@pytest.mark.parametrize(
    "make",
    [
        lambda value: {"loss": nn.CrossEntropyLoss(label_smoothing=value)},
        lambda value: {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, value, 1.0]))},
        lambda value: {"loss": Twice(nn.HuberLoss(delta=value))},
        lambda value: {"loss": functools.partial(functional.cross_entropy, label_smoothing=value)},
        lambda value: {"loss": make_loss(value)},
        lambda value: {"executor": noisy(value)},
        lambda value: {"network": nn.Sequential(nn.Linear(4, 3), nn.Dropout(value))},
        lambda value: {"network": circuit("IIZX" if value < 0.2 else "IIXZ")},
    ],
    ids=["option", "tensor", "inner", "partial", "closure", "noise", "dropout", "observable"],
)
def test_options_of_loss_network_and_executor_count(make, tmp_path, monkeypatch):
    monkeypatch.setattr(
        api, "check_experiment", lambda *_: (ho.load_dataset("iris"), {"adam": [None]})
    )
    monkeypatch.setattr(runner, "make_run", not_made)
    monkeypatch.setattr(ho.Study, "save", lambda study, path: path)
    for value in (0.1, 0.1):
        quick(methods=["adam"], output=tmp_path, **make(value))
    with pytest.raises(CheckpointError, match="changed: use a new folder"):
        quick(methods=["adam"], output=tmp_path, **make(0.3))


def test_failed_runs_are_made_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_run", not_made)
        assert len(quick(methods=["adam"], output=tmp_path).failures) == 2
    assert quick(methods=["adam"], output=tmp_path).failures == []


# -- files that are damaged, too old, or no files


def damages():
    def change(**values):
        return lambda content: content["run"].update(values)

    yield from [change(curve=[]), change(curve=[3]), change(curve=None), change(extra=1)]
    yield from [change(test_metric="a"), change(test_metric=None), change(status="dne")]
    yield from [change(seed=99), change(seed="0"), change(rates=["x"]), change(trials=[{}])]
    yield from [change(shots=True), lambda content: content.update(run=None)]
    yield lambda content: content["run"].pop("method")


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("damage", list(damages()))
def test_a_damaged_run_is_told(damage, copied):
    path = min((copied / "runs").iterdir())
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"{path.name} is damaged or no run .* Delete it"):
        quick(output=copied)


@pytest.mark.usefixtures("nothing_runs")
def test_what_is_no_json_is_told(copied):
    path = min((copied / "runs").iterdir())
    for text in ("{", "[]", "{}", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=f"{path.name} is (damaged or )?no run"):
            quick(output=copied)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"{path.name} .*IsADirectoryError"):
        quick(output=copied)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("resume", [True, "force"])
def test_files_of_an_earlier_schema_are_refused_by_name(resume, tmp_path):
    words = "has schema 1, written by hybridopt 0.1.0; this version reads schema 2. Run the compar"
    with pytest.raises(CheckpointError, match=f"study.json {words}"):
        ho.load_study(EARLIER)
    (tmp_path / "runs").mkdir()
    (run,) = EARLIER.glob("adam*")
    shutil.copy(run, tmp_path / "runs")
    with pytest.raises(CheckpointError, match=f"{run.name} {words}"):
        quick(output=tmp_path, resume=resume)


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
    (name,) = change
    del content[name]
    (tmp_path / "study.json").write_text(json.dumps(content))
    if name in {"confidence", "reach", "details"}:
        assert ho.load_study(tmp_path).control == "adam"
    else:
        with pytest.raises(CheckpointError, match=f"`{name}` is missing"):
            ho.load_study(tmp_path)


@pytest.mark.usefixtures("nothing_runs")
def test_places_that_cannot_be_written_are_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write to the output folder"):
        quick(output=tmp_path / "file")
    for name in ("study.json", "report.html"):
        (tmp_path / name).mkdir()
        with pytest.raises(OutputError, match=f"{name}: it is a folder"):
            quick(output=tmp_path)
        (tmp_path / name).rmdir()


@pytest.mark.wrong_types
def test_paths_that_are_none(stored):
    study = ho.load_study(stored)
    for call in (study.save, ho.load_study, study.plot, study.table().to_csv):
        for path in (5, b"x"):
            with pytest.raises(ArgumentTypeError, match="`path` must be a path"):
                call(path)
    for call in (study.save, study.plot, study.table().to_csv):
        with pytest.raises(OutputError, match="Cannot write"):
            call("x" * 5000)
    with pytest.raises(CheckpointError, match="is damaged or no study"):
        ho.load_study("x" * 5000)
