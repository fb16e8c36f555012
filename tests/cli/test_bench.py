"""Tests of `hybridopt bench` from its options to its files."""

from __future__ import annotations

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from hybridopt.bench import simulators
from hybridopt.bench.results import commit, machine
from hybridopt.bench.row import Row
from hybridopt.cli import app
from hybridopt.cli.bench import split
from hybridopt.errors import ArgumentError

pytestmark = pytest.mark.slow


def run(*arguments, width="200"):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": width})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("bench")
    problems = "ladder:2-4-2,ladder:4-8-2,ladder:4-4-2"
    arguments = ["--problem", problems, "--shots", "exact,50", "--peer", "pennylane-default",
                 "--gradient", "parameter-shift,adjoint", "--max-seconds", "20",
                 "--repetitions", "2", "--csv", str(target / "rows.csv")]  # fmt: skip
    result = run("bench", *arguments, "--output", target, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((target / "bench.json").read_text("utf-8"))
    return target


def test_json_is_complete(folder):
    content = json.loads((folder / "bench.json").read_text("utf-8"))
    assert content["schema"] == 3
    assert {"hybridopt-qiskit", "qiskit", "qiskit-aer", "pennylane"} <= set(content["versions"])
    assert {"processor", "cores", "memory_gigabytes", "system", "python"} <= set(content["machine"])
    assert re.match(r"\d{4}-\d\d-\d\dT", content["date"])
    simulators = content["simulators"]
    assert simulators["settings"]["shots"] == [None, 50]
    used = simulators["settings"]["repetitions"], simulators["settings"]["max_seconds"]
    assert used == (2, 20)
    assert {row["observables"] for row in simulators["rows"]} == {"ZZ", "ZZZZ"}
    assert "in every call" in simulators["measured"]
    rows = simulators["rows"]
    assert len(rows) == 3 * (2 + 2) + 3 * (1 + 1)
    assert {row["status"] for row in rows} == {"timed"}
    for row in rows:
        assert row["repetitions"] == 2
        assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["max_seconds"]
        assert row["deviation"] <= row["allowed"]
        assert len(row["cpu_seconds"]) == 2
        assert row["median_cpu_seconds"] > 0
        assert (row["runs"] is not None) == (row["library"] == "hybridopt")
    (note,) = simulators["notes"]
    assert "Gradient adjoint" in note


def test_csv_has_the_same_rows(folder):
    content = json.loads((folder / "bench.json").read_text("utf-8"))
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, content["simulators"]["rows"], strict=True):
        assert line["problem"] == row["problem"]
        assert float(line["median_cpu_seconds"]) == row["median_cpu_seconds"]
        assert line["shots"] == ("" if row["shots"] is None else str(row["shots"]))
        assert {name for name in row if name not in line} == {"seconds", "cpu_seconds"}


def test_page_is_self_contained(folder):
    page = (folder / "bench.html").read_text("utf-8")
    assert page.count("data:image/svg+xml;base64,") == 4  # two panels per axis
    assert "http" not in page
    assert "PennyLane default.qubit" in page
    assert "ladder:4-8-2, 50 shots" in page
    for axis in ("qubits", "weights"):
        assert (folder / f"time_by_{axis}.png").read_bytes().startswith(b"\x89PNG")


def test_markdown(folder):
    text = (folder / "table.md").read_text("utf-8")
    assert "## ladder:2-4-2, 50 shots" in text
    lines = [line for line in text.splitlines() if line.startswith("| hybridopt | adjoint")]
    assert len(lines) == 3
    assert all(line.count("|") == 13 for line in lines)
    for line in lines:
        assert len(re.findall(r" [\d.]+ (?:ms|s)(?: |$)", line.replace("|", ""))) >= 4
    other = next(line for line in text.splitlines() if line.startswith("| PennyLane default.qubit"))
    assert re.search(r"(times (slower|faster)|equally fast) \|", other)


def test_goals_and_slow_rows_are_shown(tmp_path):
    result = run("bench", "--problem", "ladder:4-16-16", "--peer", "qiskit-estimator-aer",
                 "--max-seconds", "0.2", "--output", tmp_path, width="80")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "slow" in result.output
    assert "one sample took" in " ".join(result.output.split())
    assert "slow" in (tmp_path / "bench.html").read_text("utf-8")
    result = run("bench", "--problem", "ladder:4-16-16", "--peer", "pennylane-default",
                 "--repetitions", "2", "--output", tmp_path)  # fmt: skip
    assert "15 times faster than PennyLane's best parameter shift" in result.output
    assert f"Page: {tmp_path / 'bench.html'}" in result.output.replace("\n", "")
    page = (tmp_path / "bench.html").read_text("utf-8")
    assert "15 times faster than PennyLane&#39;s best parameter shift" in page


def test_a_circuit_of_the_gallery(tmp_path):
    result = run("bench", "--circuit", "hardware_efficient", "--batch", "1,3", "--gradient",
                 "adjoint", "--method", "statevector", "--precision", "single", "--repetitions",
                 "1", "--json", "--output", tmp_path / "out")  # fmt: skip
    rows = json.loads(result.stdout)["simulators"]["rows"]
    assert [row["batch"] for row in rows] == [1, 3]
    assert {row["family"] for row in rows} == {"hardware_efficient"}
    seen = {(row["status"], row["rule"], row["precision"]) for row in rows}
    assert seen == {("timed", "adjoint", "single")}


def test_quick(tmp_path, monkeypatch):
    monkeypatch.setattr(simulators, "QUICK", ("ladder:2-2-2", "ladder:3-3-2"))
    monkeypatch.setattr(simulators, "WITH_SHOTS", (("ladder:2-2-2", 20),))
    monkeypatch.setattr(simulators, "WITH_NOISE", (("ladder:2-2-2", 0.1),))
    result = run("bench", "--quick", "--max-seconds", "60", "--json", "--output", tmp_path)
    content = json.loads(result.stdout)["simulators"]
    assert [row["repetitions"] for row in content["rows"]] == [3] * len(content["rows"])
    settings = content["settings"]
    assert (settings["quick"], settings["repetitions"], settings["max_seconds"]) == (True, 3, 60)


def test_noise_and_a_peer_of_the_user(tmp_path):
    code = ("from hybridopt.bench import Competitor, PreparedProblem\n"
            "from hybridopt.bench.dense_twin import reference\n"
            "class Twin(Competitor):\n"
            "    name, library, rule, noisy = 'twin', 'own', 'dense', True\n"
            "    def prepare(self, problem):\n"
            "        def gradient(x, w):\n"
            "            twin = reference(problem, x, w)\n"
            "            return twin.values, twin.gradient\n"
            "        return PreparedProblem(gradient)\n")  # fmt: skip
    (tmp_path / "mine,too.py").write_text(code)
    result = run("bench", "--problem", "ladder:2-2-2", "--noise", "none,0.1", "--gradient",
                 "adjoint", "--peer", f"{tmp_path}/mine,too.py:Twin", "--repetitions", "1",
                 "--json", "--output", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["simulators"]["rows"]
    seen = [(row["problem"], row["competitor"], row["noise"], row["status"]) for row in rows]
    pairs = [("ladder:2-2-2", None), ("ladder:2-2-2, noise 0.1", 0.1)]
    assert sorted(seen, key=str) == sorted(
        [(name, one, noise, "timed") for name, noise in pairs for one in ("hybridopt", "twin")],
        key=str,
    )


@pytest.mark.parametrize(
    ("status", "code"), [("timed", 0), ("slow", 0), ("not run", 0), ("wrong", 1), ("failed", 1)]
)
def test_the_exit_code_reports_wrong_and_failed_rows(status, code, tmp_path, monkeypatch):
    def measured(problem, competitors, **_):
        rows = [Row.of(one, problem) for one in competitors]
        rows[-1].stop(status, "a reason")
        return rows

    monkeypatch.setattr(simulators, "measure", measured)
    result = run("bench", "--problem", "ladder:2-2-2", "--output", tmp_path)
    assert result.exit_code == code, result.output
    assert (tmp_path / "bench.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "simulator"], "Unknown suite 'simulator'"),
        (["--gradient", "adjoint,,spsa"], "'adjoint,,spsa'"),
        (["--shots", "many"], "`shots`"),
        (["--batch", "1.5"], "`batch`"),
        (["--peer", "pennylane"], "Unknown peer 'pennylane'"),
        (["--peer", "none.py:Mine"], "The peer must be in a Python file that exists"),
        (["--noise", "much"], "`noise`"),
        (["--noise", "1.5"], "`noise` must be less than 1"),
        (["--problem", "ladder:11-11", "--noise", ".1"], "at most 10 qubits"),
        (["--suite", "training", "--csv", "rows.csv"], "`csv`"),
    ],
)
def test_bad_options_are_refused(arguments, message, tmp_path, refused):
    refused(message, "bench", *arguments, "--output", tmp_path / "out")


def test_lists():
    assert split(["adjoint, spsa", "adjoint"]) == ("adjoint", "spsa")
    kept = split(["a,b.qasm", "c,d"], keep=lambda text: text == "a,b.qasm")
    assert kept == ("a,b.qasm", "c", "d")
    assert split(None) == ()
    with pytest.raises(ArgumentError, match="empty"):
        split([""])


def test_machine(monkeypatch):
    found = machine()
    assert found["cores"] >= found["usable_cores"] >= 1
    assert found["processor"]
    monkeypatch.setenv("PATH", "")
    assert commit() is None
