"""Tests of `hybridopt compare`."""

from __future__ import annotations

import json
import logging

import pytest
from distributed import LocalCluster

import hybridopt as ho
from hybridopt.compare import runner

SMALL = [
    "compare", "--data", "iris", "--network", "mlp:4-3", "--method", "adam",
    "--method", "memory+adam", "--seeds", "2", "--budget", "1 epoch", "--tuning", "1",
    "--workers", "1",
]  # fmt: skip


def test_json_and_nothing_else(tmp_path, call):
    options = ["--shots", 20, "--seed", 3, "--output", tmp_path, "--json"]
    code, out, err = call(*SMALL, *options)
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
def test_tables_fit_the_terminal(width, tmp_path, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = call(*SMALL, "--output", tmp_path)
    assert code == 0
    assert "4/4" in err
    assert out.count("memory+adam") >= (2 if width == 80 else 1)
    assert "…" not in out
    for words in ("iris: 1 epoch", "minus adam", "settings", "Report: "):
        assert words in out


def test_a_folder_of_another_comparison_needs_force(tmp_path, call):
    for options, code in (([], 0), (["--seed", "1"], 2), (["--seed", "1", "--resume", "force"], 0)):
        found, _, err = call(*SMALL, "--output", tmp_path, *options)
        assert found == code
        assert ("resume='force'" in err) == (code == 2)
    assert len(list((tmp_path / "runs").iterdir())) == 6


def test_a_cluster_gives_the_runs_of_one_process(tmp_path, call):
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False}
    studies = []
    with LocalCluster(**options, dashboard_address=":0", silence_logs=logging.CRITICAL) as cluster:
        at = ["--scheduler", cluster.scheduler_address]
        for place, more in (("alone", ["--workers", "1"]), ("spread", at)):
            code, out, _ = call(*SMALL[:-2], *more, "--json", "--output", tmp_path / place)
            assert code == 0
            studies.append(json.loads(out)["runs"])
    for one, other in zip(*studies, strict=True):
        assert (one["test_loss"], one["settings"]) == (other["test_loss"], other["settings"])


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "adma"], "Unknown optimizer or bridge 'adma'"),
        (["--budget", "ten"], "'ten'"),
        (["--data", "none"], "Unknown dataset 'none'"),
        (["--seeds", "-3"], "`seeds`"),
        (["--control", "sgd"], "'sgd'"),
        (["--shots", "0"], "`shots`"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--resume", "no"], "`resume`"),
        (["--scheduler", "tcp://127.0.0.1:1"], "`--workers`"),
    ],
)
def test_bad_options_are_refused(options, message, tmp_path, refused):
    refused(message, *SMALL, "--output", tmp_path / "a" / "b", *options)


def test_ctrl_c_reports_the_finished_runs(tmp_path, call, monkeypatch):
    run, calls = runner.make_run, []

    def interrupted(plan, method, seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(plan, method, seed)

    monkeypatch.setattr(runner, "make_run", interrupted)
    code, _, err = call(*SMALL, "--output", tmp_path)
    assert code == 130
    assert f"{tmp_path} contains 1 finished run" in " ".join(err.split())
