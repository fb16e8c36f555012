from __future__ import annotations

import json
import re

import pytest
import torch
from PIL import Image
from qiskit import qasm3, qpy
from qiskit.quantum_info import Statevector

from hybridopt.demo import RunSettings, run_main_job, write_report
from hybridopt.demo.report import command, results_dict, table_rows
from hybridopt.errors import OutputError

PICTURES = ("training.png", "comparison.png", "weights.png", "circuit.png")
FILES = {*PICTURES, "report.html", "results.json", "network.pt", "circuit.qpy", "circuit.qasm"}


def test_a_second_report_replaces_its_own_files(outcome, folder):
    before = (folder / "results.json").read_bytes()
    (folder / "results.json").write_text("old")
    write_report(outcome, folder)
    assert {path.name for path in folder.iterdir()} == FILES | {"notes.txt"}
    assert (folder / "results.json").read_bytes() == before
    assert (folder / "notes.txt").read_text() == "mine"


def test_the_page_is_complete(outcome, folder):
    page = (folder / "report.html").read_text("utf-8")
    sources = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert len(sources) == len(PICTURES) + 2  # two pictures have two panels, below each other
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert page.count('class="panels"') == 2
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?://|@import|url\(|\{\{|\{%", page)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for words in ("@media print", "speed-up"):
        assert words in page
    header, rows = table_rows(outcome)
    assert header[6] == "parameters"
    assert {len(row) for row in rows} == {len(header)}
    for result, row in zip((*outcome.stages, *outcome.controls), rows, strict=True):
        assert row[0] == result.name
        assert f"<td>{result.name}</td><td>{result.test_metric:.3f}</td>" in page


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name, folder):
    with Image.open(folder / name) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_results(outcome, folder):
    results = json.loads((folder / "results.json").read_text("utf-8"))
    assert results == json.loads(json.dumps(results_dict(outcome)))
    assert results["schema"] == 1
    assert [s["name"] for s in results["stages"]] == ["classical-start", "quantum", "fine-tuned"]
    assert [c["name"] for c in results["controls"]] == ["classical", "random-subspace", "twin"]
    for entry in (*results["stages"], *results["controls"]):
        assert 0 <= entry["test_accuracy"] <= 1
        assert {"settings", "shots", "runs", "training_seconds", "trainable"} <= set(entry)
    assert results["settings"] == {
        "data": "iris", "network": "auto", "optimizer": "adam", "start_epochs": 1, "epochs": 2,
        "fine_tuning_epochs": 1, "shots": None, "shots_per_weight": None, "seed": 4,
        "executor": None, "device": None,
    }  # fmt: skip


def test_the_saved_network(outcome, folder):
    state = torch.load(folder / "network.pt", weights_only=True)
    fresh = torch.nn.Sequential(torch.nn.Linear(4, 20), torch.nn.Tanh(), torch.nn.Linear(20, 3))
    fresh.load_state_dict(state)
    x = outcome.data.test.x
    assert torch.equal(fresh(x), outcome.network(x))


@pytest.mark.parametrize("name", ["circuit.qpy", "circuit.qasm"])
def test_the_saved_circuit_has_the_weights_of_the_quantum_stage(name, outcome, folder):
    if name == "circuit.qpy":
        with (folder / name).open("rb") as stream:
            (circuit,) = qpy.load(stream)
    else:
        circuit = qasm3.loads((folder / name).read_text("utf-8"))
    zero, one = Statevector(circuit).probabilities().reshape(2, -1)
    cosines = (zero - one) / (zero + one)
    scales = json.loads((folder / "results.json").read_text("utf-8"))["circuit"]["scales"]
    weights, start = [], 0
    for key, tensor in torch.load(folder / "network.pt", weights_only=True).items():
        weights.append(scales[key] * torch.from_numpy(cosines[start : start + tensor.numel()]))
        start += tensor.numel()
    # 2 * 256 gates on 9 qubits in double precision
    torch.testing.assert_close(torch.cat(weights), outcome.weights["quantum"], rtol=0, atol=1e-10)


def test_regression_reports_r2(tmp_path):
    sizes = {"network": "mlp:1-4-1", "epochs": 1, "fine_tuning_epochs": 1}
    outcome = run_main_job(RunSettings(data="linear-regression", **sizes))
    page = write_report(outcome, tmp_path).read_text("utf-8")
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["task"] == "regression"
    for entry in (*results["stages"], *results["controls"]):
        assert entry["test_r2"] <= 1
        assert "test_accuracy" not in entry
    assert "R²" in page


def test_a_folder_that_cannot_be_written(outcome, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for target in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match=r"file"):
            write_report(outcome, target)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_report_leaves_no_file(outcome, tmp_path, monkeypatch):
    def interrupted(circuit):
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridopt.demo.report.circuit_figure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(outcome, tmp_path / "run")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_page_shows_the_command(outcome, folder):
    page = (folder / "report.html").read_text("utf-8")
    assert f"<pre>{command(outcome.settings)}</pre>" in page
    assert command(RunSettings()) == "hybridopt run"
    settings = RunSettings(data="iris", network="my net.py:make", shots_per_weight=8, seed=3)
    assert command(settings) == (
        "hybridopt run --data iris --network 'my net.py:make' --shots-per-weight 8 --seed 3"
    )
