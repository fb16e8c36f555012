from __future__ import annotations

import json
import re
import runpy
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest

import hybridopt
from hybridopt.cli import main
from hybridopt.cli.entry import COMMANDS, EXAMPLES

SMALL = ["run", "--data", "iris", "--epochs", "1", "--fine-tuning-epochs", "1"]
INTERRUPTED = 130


def plain(text: str) -> str:
    """Return the words of a text that rich has wrapped."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["run", "train", "devices", "--version"]),
        (["run", "--help"], ["--data", "--network", "--optimizer", "--epochs", "--shots", "--seed",
                             "--output", "--json", "iris", "newton"]),
        (["compare", "--help"], ["--method", "--budget", "--seeds", "--control", "--workers"]),
        (["devices", "--help"], ["--json"]),
    ],
)  # fmt: skip
def test_help(arguments, words, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = call(*arguments)
    assert code == 0
    assert all(word in plain(out) for word in words)


def test_help_texts_equal_the_docstrings():
    for name, text in COMMANDS.items():
        command = import_module(f"hybridopt.cli.{name}").command
        assert command.__doc__.splitlines()[0] == text


@pytest.mark.parametrize(("words", "code"), [("--help", 0), ("--version", 0), ("rnu", 2)])
def test_help_imports_neither_torch_nor_qiskit(words, code):
    heavy = {"torch", "qiskit", "numpy", "matplotlib", "sklearn", "scipy", "pandas"}
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('heavy:', {heavy} & {{*sys.modules}}))\n"
        "from hybridopt.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, words], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "heavy: set()"
    assert done.returncode == code


def test_devices(call):
    content = json.loads(call("devices", "--json")[1])
    assert "CPU" in content["devices"]
    assert content["gpu"] == ("GPU" in content["devices"])
    text = call("devices")[1]
    assert "Aer devices: CPU" in text
    assert ("qiskit-aer-gpu" in text) != content["gpu"]


def test_run_prints_json_and_nothing_else(tmp_path, call):
    options = ["--network", "mlp:4-5-3", "--optimizer", "rmsprop", "--shots", "64", "--seed", "3",
               "--start-epochs", "2"]  # fmt: skip
    code, out, err = call(*SMALL, *options, "--json", "--output", tmp_path)
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content == json.loads((tmp_path / "results.json").read_text())
    assert content["settings"] == {
        "data": "iris", "network": "mlp:4-5-3", "optimizer": "rmsprop", "start_epochs": 2,
        "epochs": 1, "fine_tuning_epochs": 1, "shots": 64, "shots_per_weight": None, "seed": 3,
            "executor": None, "device": None,
    }  # fmt: skip


def test_run_prints_a_table_and_the_path_of_the_report(tmp_path, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = call(*SMALL, "--output", tmp_path)
    assert code == 0
    assert "control: twin" in err  # the label of a progress bar
    for name in ("classical-start", "quantum", "fine-tuned", "random-subspace", "twin", "controls"):
        assert name in out
    assert f"Report: {tmp_path / 'report.html'}" in out
    assert "No quantum speed-up" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "irsi"], "Unknown dataset 'irsi'"),
        (["--epochs", "-1"], "`epochs`"),
        (["--shots", "0"], "`shots`"),
        (["--network", "mlp:1-2"], "'mlp:1-2'"),
        (["--network", "file[/x].py:make"], "file[/x].py"),
        (["--shots", "10", "--shots-per-weight", "1"], "`shots_per_weight`"),
        (["--device", "cuda:1"], "CUDA_VISIBLE_DEVICES=1"),
        (["--device", "cpu", "--executor", "fake:FakeManilaV2"], "`device`"),
    ],
)
def test_bad_values_are_refused(options, message, tmp_path, refused):
    refused(message, *SMALL, *options, "--output", tmp_path / "run")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, refused):
    (tmp_path / "file").write_text("in the way")
    refused(str(tmp_path / "file"), *SMALL, "--output", tmp_path / "file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["run", "--epoch", "1"], "Did you mean --epochs (Number of epochs on the circuit)"),
        (["compare", "--epochs", "3"], "Did you mean --budget (Limits per method"),
        (["train", "--learning-rate", "1"], "No such option: --learning-rate. Did you mean --lr"),
        (["bench", "--xyzzy"], "No such option: --xyzzy"),
        (["rnu"], "No such command 'rnu'"),
    ],
)
def test_bad_options_are_refused(arguments, message, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in plain(err)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_whose_options_exist(name, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = plain(call(name, "--help")[1])
    options = set(re.findall(r"--[a-z-]+", text.split("Examples:")[0]))
    for example in EXAMPLES[name]:
        assert example.startswith(f"hybridopt {name}")
        assert example in text
        assert {*re.findall(r"--[a-z-]+", example)} <= options


def test_an_unexpected_error_is_not_hidden(monkeypatch, tmp_path):
    broken = mock.Mock(side_effect=ZeroDivisionError)
    monkeypatch.setattr("hybridopt.cli.run.run_main_job", broken)
    monkeypatch.setattr(sys, "argv", ["hybridopt", *SMALL, "--output", str(tmp_path)])
    with pytest.raises(ZeroDivisionError):
        main()


def test_ctrl_c_sets_the_exit_code(call, monkeypatch, tmp_path):
    interrupted = mock.Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr("hybridopt.cli.run.run_main_job", interrupted)
    code, _, err = call(*SMALL, "--output", tmp_path)
    assert code == INTERRUPTED
    assert "nothing was written" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_on_the_circuit_leaves_no_file(tmp_path: Path):
    target = tmp_path / "run"
    script = (
        "import signal\n"  # tests in the background ignore Ctrl-C, and this process inherits it
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from hybridopt.execution import AerExecutor\n"
        "run = AerExecutor.run\n"
        "def loud(self, job):\n"
        "    result = run(self, job)\n"
        "    print('on the circuit', flush=True)\n"  # the thread of the simulator has started
        "    return result\n"
        "AerExecutor.run = loud\n"
        "from hybridopt.cli import main\n"
        "main()"
    )
    arguments = ["run", "--data", "iris", "--epochs", "100000", "--json", "--output", str(target)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert any("on the circuit" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in err
    assert "nothing was written" in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_package_runs_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hybridopt", "--version"])
    monkeypatch.delitem(sys.modules, "hybridopt.__main__", raising=False)  # imported by a test
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("hybridopt", run_name="__main__", alter_sys=True)
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"hybridopt {hybridopt.__version__}"
