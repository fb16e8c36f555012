"""Output folders: resumed, of another comparison, damaged, or of an earlier schema."""

from __future__ import annotations

import functools
import importlib
import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn import functional

import hybridopt as ho
from hybridopt.compare import api, run_store, runner
from hybridopt.compare.experiment_checks import CheckedMethod
from hybridopt.compare.results import Run
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
def test_finished_runs_are_read(study, folder):
    again = ho.compare(
        "mlp:4-3", "iris", methods=METHODS, budget="2 epochs", seeds=3, tuning=2, output=folder
    )
    assert again.runs == study.runs


def moved():
    data = ho.load_dataset("iris")
    return replace(data, train=Part(data.train.x + 1, data.train.y))


CHANGES = {
    "budget": ({"budget": 2}, "budget .*'1 epoch'.*'2 epochs'"),
    "methods": ({"methods": ["adam", "gd"]}, "method sgd .*method gd"),
    "options": ({"methods": ["adam", "sgd(momentum=0.9)"]}, r"method sgd\(momentum=0.9\)"),
    "batches": ({"batch_size": 7}, "method adam"),
    "seeds": ({"seeds": 3}, r"seeds .*\[0, 1\].*\[0, 1, 2\]"),
    "tuning": ({"tuning": 2}, "tuning"),
    "threads": ({"threads": 2}, "threads"),
    "network": ({"network": "mlp:4-2-3"}, "starting weights of seed 0 .*network"),
    "data": ({"data": moved()}, "data of seed 0"),
    "loss": ({"loss": nn.MultiMarginLoss()}, "loss"),
    "executor": ({"executor": ho.AerExecutor(shots=5)}, "executor"),
}


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_folder_of_another_comparison(change, message, stored):
    before = {path: path.read_bytes() for path in stored.rglob("*.json")}
    with pytest.raises(CheckpointError, match=f"another comparison: .*{message}") as caught:
        quick(output=stored, **change)
    offered = "resume='force'" in str(caught.value)
    assert offered == (change.keys() <= {"methods", "seeds"})  # runs that are there still fit
    if not offered:
        with pytest.raises(CheckpointError, match=message):
            quick(output=stored, resume="force", **change)
    assert {path: path.read_bytes() for path in stored.rglob("*.json")} == before


def test_force_takes_finished_runs_by_method_and_seed(copied):
    before = ho.load_study(copied)
    study = quick(output=copied, resume="force", methods=["sgd", "gd"], seeds=3)
    assert [run for run in study.runs if run in before.runs] == before.runs_of("sgd")
    assert len(study.runs) == 6
    assert quick(output=copied, methods=["sgd", "gd"], seeds=3).runs == study.runs
    with pytest.raises(CheckpointError, match="method adam"):
        quick(output=copied, resume="force", methods=[ho.Method("gd", name="adam"), "sgd"])


@pytest.mark.wrong_types
def test_resume_and_versions(copied):
    with pytest.raises(CheckpointError, match=copied.name):
        quick(output=copied, resume=False)
    record = copied / "comparison.json"
    record.write_text(record.read_text().replace(version("torch"), "0.4"))
    with pytest.raises(CheckpointError, match=r"version of torch .*'0\.4'"):
        quick(output=copied)
    with pytest.raises(ArgumentError, match="`resume`"):
        quick(output=copied, resume="yes")


def not_made(experiment, method, seed):
    return Run(method.name, seed, "failed", "not made")


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
def test_the_code_of_the_user_counts(kind, tmp_path, monkeypatch):
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
    with pytest.raises(CheckpointError, match="code changed"):
        again(" * 10 ")


def make_loss(factor):
    return lambda outputs, y: factor * functional.cross_entropy(outputs, y)


class Wrapped(nn.Module):
    """A loss around another loss."""

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
        lambda value: {"loss": Wrapped(nn.HuberLoss(delta=value))},
        lambda value: {"loss": functools.partial(functional.cross_entropy, label_smoothing=value)},
        lambda value: {"loss": make_loss(value)},
        lambda value: {"executor": noisy(value)},
        lambda value: {"network": nn.Sequential(nn.Linear(4, 3), nn.Dropout(value))},
        lambda value: {"network": circuit("IIZX" if value < 0.2 else "IIXZ")},
    ],
    ids=["option", "tensor", "inner", "partial", "closure", "noise", "dropout", "observable"],
)
def test_options_of_loss_network_and_executor_count(make, tmp_path, monkeypatch):
    checked = {"adam": CheckedMethod([ho.Budget.parse("1 epochs")], [""], None)}
    monkeypatch.setattr(api, "check_experiment", lambda *_: (ho.load_dataset("iris"), checked))
    monkeypatch.setattr(runner, "make_run", not_made)
    monkeypatch.setattr(ho.Study, "save", lambda study, path: path)
    for value in (0.1, 0.1):
        quick(methods=["adam"], output=tmp_path, **make(value))
    with pytest.raises(CheckpointError, match="changed"):
        quick(methods=["adam"], output=tmp_path, **make(0.3))


def test_failed_runs_are_repeated(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_run", not_made)
        assert len(quick(methods=["adam"], output=tmp_path).failures) == 2
    assert quick(methods=["adam"], output=tmp_path).failures == []


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    "damage",
    [
        {"curve": []}, {"curve": [3]}, {"extra": 1}, {"test_metric": "a"}, {"test_metric": None},
        {"status": "dne"}, {"seed": 99}, {"rates": ["x"]}, {"trials": [{}]}, {"shots": True},
        {"method": None},
    ],
)  # fmt: skip
def test_a_damaged_run(damage, copied):
    path = min((copied / "runs").iterdir())
    content = json.loads(path.read_text())
    content["run"].update(damage)
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"{path.name} is damaged"):
        quick(output=copied)


@pytest.mark.usefixtures("nothing_runs")
def test_a_run_that_is_not_json(copied):
    path = min((copied / "runs").iterdir())
    for text in ("{", "[]", "{}", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=path.name):
            quick(output=copied)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"{path.name} .*IsADirectoryError"):
        quick(output=copied)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("resume", [True, "force"])
def test_files_of_an_earlier_schema(resume, tmp_path):
    words = "must have schema 2 .*1, written by hybridopt 0.1.0"
    with pytest.raises(CheckpointError, match=f"study.json {words}"):
        ho.load_study(EARLIER)
    (tmp_path / "runs").mkdir()
    (run,) = EARLIER.glob("adam*")
    shutil.copy(run, tmp_path / "runs")
    with pytest.raises(CheckpointError, match=f"{run.name} {words}"):
        quick(output=tmp_path, resume=resume)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("name", ["study", "run"])
def test_a_changed_number_is_refused(name, copied):
    path = copied / "study.json" if name == "study" else next((copied / "runs").glob("*.json"))
    text = path.read_text()
    place = text.index('"test_metric": 0.') + len('"test_metric": 0.')
    path.write_text(f"{text[:place]}{9 - int(text[place])}{text[place + 1 :]}")
    with pytest.raises(CheckpointError, match=f"{name}.* changed after it was written"):
        ho.load_study(copied) if name == "study" else quick(output=copied)


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": 3}, {"metric_name": "beauty"}, {"details": []}, {"confidence": 2},
        {"confidence": "a"}, {"methods": "adam"}, {"methods": [3]}, {"control": "other"},
        {"seeds": [0]}, {"seeds": [0, "1"]}, {"reach": "x"}, {"budget": 5}, {"runs": []},
        {"runs": {}}, {"runs": ["ab"]}, {"details": {"stages": {"adam": [3]}}},
    ],
)  # fmt: skip
def test_a_damaged_study(change, stored, tmp_path):
    content = json.loads((stored / "study.json").read_text())
    del content[run_store.DIGEST]
    (tmp_path / "study.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(CheckpointError, match="is damaged"):
        ho.load_study(tmp_path)
    (name,) = change
    del content[name]
    (tmp_path / "study.json").write_text(json.dumps(content))
    if name in {"confidence", "reach", "details"}:
        assert ho.load_study(tmp_path).control == "adam"
    else:
        with pytest.raises(CheckpointError, match=f"missing.*'{name}'"):
            ho.load_study(tmp_path)


@pytest.mark.usefixtures("nothing_runs")
def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        quick(output=tmp_path / "file")
    for name in ("study.json", "report.html"):
        (tmp_path / name).mkdir()
        with pytest.raises(OutputError, match=name):
            quick(output=tmp_path)
        (tmp_path / name).rmdir()


@pytest.mark.wrong_types
def test_invalid_paths(stored):
    study = ho.load_study(stored)
    for call in (study.save, ho.load_study, study.plot, study.table().to_csv):
        for path in (5, b"x"):
            with pytest.raises(ArgumentTypeError, match="`path`"):
                call(path)
    for call in (study.save, study.plot, study.table().to_csv):
        with pytest.raises(OutputError, match="x" * 5000):
            call("x" * 5000)
    with pytest.raises(CheckpointError, match="x" * 5000):
        ho.load_study("x" * 5000)
