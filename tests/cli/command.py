"""The installed command, called in this process."""

from __future__ import annotations

import sys

import pytest

from hybridopt.cli import main


def entry_point(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["hybridopt", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    return caught.value.code, out, err
