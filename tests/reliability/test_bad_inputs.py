"""Bad inputs raise our errors with useful messages before any circuit runs."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path

import pytest
import torch

import hybridopt
from hybridopt.cli import main
from hybridopt.errors import HybridOptError

from .bad_inputs import CALLS, COMMANDS
from .bad_inputs.parts import net

PACKAGE = Path(hybridopt.__file__).parent


def test_at_least_a_hundred_bad_inputs():
    assert len(CALLS) + len(COMMANDS) >= 100


@pytest.mark.wrong_types
@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", CALLS)
def test_calls(name, tmp_path, aer_calls):
    call, kind, says = CALLS[name]
    with pytest.raises(HybridOptError) as caught:
        call(tmp_path)
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert aer_calls == []
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert PACKAGE in Path(last.filename).parents  # raised in hybridopt, not in torch or Qiskit
    builtins = [kind for kind in type(caught.value).__mro__ if kind.__module__ == "builtins"]
    assert builtins[0] is not Exception  # callers can catch a built-in class


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command, tmp_path, monkeypatch, capsys, aer_calls):
    (tmp_path / "file.qasm").write_text("no circuit")
    torch.save(net().state_dict(), tmp_path / "state.pt")
    places = {"file": "file.qasm", "state": "state.pt", "folder": "."}
    words = shlex.split(command.format(**{k: tmp_path / v for k, v in places.items()}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", ["hybridopt", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert COMMANDS[command].lower() in err.lower()  # Typer writes WHAT or what
    assert "Traceback" not in out + err
    assert aer_calls == []
    assert {path.name for path in tmp_path.iterdir()} <= {"file.qasm", "state.pt", "results"}
