"""The command `hybridopt compare`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import hybridopt as ho
from hybridopt.cli import app
from hybridopt.compare import runner

from .command import entry_point

SMALL = [
    "compare", "--data", "iris", "--network", "mlp:4-3", "--method", "adam",
    "--method", "memory+adam", "--seeds", "2", "--budget", "1 epoch", "--tuning", "1",
    "--workers", "1",
]  # fmt: skip


def test_json_and_nothing_else(tmp_path, monkeypatch, capsys):
    code, out, err = entry_point(
        monkeypatch, capsys, *SMALL, "--shots", 20, "--seed", 3, "--output", tmp_path, "--json"
    )
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["kind"] == "hybridopt study"
    assert (content["seeds"], content["budget"]) == ([3, 4], "1 epoch")
    assert content == json.loads((tmp_path / "study.json").read_text("utf-8"))
    assert [run["shots"] for run in content["runs"]] == [0, 0, 160, 160]
    assert ho.load_study(tmp_path).methods == ("adam", "memory+adam")


@pytest.fixture(autouse=True)
def _no_page(monkeypatch):
    monkeypatch.setattr(ho.Study, "to_html", lambda study, path: path)


@pytest.mark.parametrize("width", [80, 240])
def test_tables_fit_the_terminal(width, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = entry_point(monkeypatch, capsys, *SMALL, "--output", tmp_path)
    assert code == 0
    assert out.count("memory+adam") >= (2 if width == 80 else 1)
    assert "…" not in out
    for words in ("4/4", "iris: 1 epoch", "minus adam", "settings", "Report: "):
        assert words in out


def test_a_folder_of_another_comparison_takes_force(tmp_path, monkeypatch, capsys):
    for options, code in (([], 0), (["--seed", "1"], 2), (["--seed", "1", "--resume", "force"], 0)):
        found, _, err = entry_point(monkeypatch, capsys, *SMALL, "--output", tmp_path, *options)
        assert found == code
        assert ("use a new folder or resume='force'" in err) == (code == 2)
    assert len(list((tmp_path / "runs").iterdir())) == 6


def test_help():
    result = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0
    for option in ("--method", "--budget", "--seeds", "--tuning", "--control", "--workers"):
        assert option in result.output


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "adma"], "Error: Unknown optimizer or bridge 'adma'"),
        (["--budget", "ten"], "Error: The budget 'ten' is not understood"),
        (["--seeds", "1"], "Error: Argument `seeds` must be 2 or more"),
        (["--seeds", "-3"], "Error: Argument `seeds` must be 2 or more"),
        (["--control", "sgd"], "Error: The control 'sgd' is not among the methods"),
        (["--shots", "0"], "Error: Argument `shots` must be 1 or more"),
        (["--resume", "no"], "Error: Argument `resume` must be True, False or 'force'"),
    ],
)
def test_our_errors_are_one_line(options, message, tmp_path, monkeypatch, capsys, aer_calls):
    code, out, err = entry_point(monkeypatch, capsys, *SMALL, "--output", tmp_path, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)
    assert aer_calls == []


def test_ctrl_c_says_what_is_kept(tmp_path, monkeypatch, capsys):
    run, calls = runner.make_run, []

    def interrupted(plan, method, seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(plan, method, seed)

    monkeypatch.setattr(runner, "make_run", interrupted)
    code, _, err = entry_point(monkeypatch, capsys, *SMALL, "--output", tmp_path)
    assert code == 130
    assert f"{tmp_path} holds 1 finished run; the same command" in " ".join(err.split())
