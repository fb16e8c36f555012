"""Fixtures that call the command in this process, and a small network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from hybridopt.cli import main

Call = Callable[..., tuple[int, str, str]]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Function that runs a command line and returns exit code, output and error output."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hybridopt", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def refused(call: Call, aer_calls: list[int], tmp_path: Path) -> Callable[..., None]:
    """Function that checks for one line of error, which contains a text, before anything runs.

    Nothing may be created, apart from Python's own cache of an imported file.
    """

    def files() -> list[Path]:
        return sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)

    def check(text: str, *arguments: object) -> None:
        before = files()
        code, out, err = call(*arguments)
        assert files() == before
        assert (code, out, err.count("\n"), aer_calls) == (2, "", 1, [])
        assert err.startswith("Error: ")
        assert text in err

    return check
