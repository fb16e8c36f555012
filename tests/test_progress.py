"""Progress bars: when they are shown, in terminals, notebooks and threads."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr
from types import SimpleNamespace

import IPython
import IPython.display
import pytest
import torch
from rich.progress import TextColumn

import hybridopt as ho
from hybridopt._progress import progress_bar, progress_console
from hybridopt._streams import in_notebook, shows_progress

from .test_streams import Failing


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _a_usual_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def shown(function, stream=None):
    """Return the text that a function writes to standard error, by default a terminal."""
    with redirect_stderr(Terminal() if stream is None else stream) as seen:
        function()
    return seen.getvalue()


@pytest.fixture
def cell(monkeypatch):
    """Return the outputs of the cell of a notebook, in which the test then runs."""
    outputs = []

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([data["text/plain"]])
        last = outputs[-1]
        return SimpleNamespace(update=lambda data, raw: last.append(data["text/plain"]))

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel="a kernel"))
    monkeypatch.setattr(IPython.display, "display", display)
    return outputs


def train(**options):
    x = torch.linspace(-1, 1, 40)[:, None]
    return ho.fit(torch.nn.Linear(1, 1), (x, 3 * x), epochs=2, batch_size=10, **options)


def compare(**options):
    return ho.compare(
        "mlp:4-3", "iris", methods=["adam"], budget="1 epoch", seeds=2, tuning=None, **options
    )


LAST = {train: "8/8", compare: "2/2"}


@pytest.mark.parametrize("function", LAST)
def test_a_terminal_shows_a_bar_by_default(function):
    assert LAST[function] in shown(function)
    assert shown(lambda: function(progress=False)) == ""
    assert shown(function, io.StringIO()) == ""  # a file or a pipe


@pytest.mark.parametrize("function", LAST)
def test_a_notebook_shows_a_bar_in_one_output(function, cell, capsys):
    function()
    (states,) = cell
    assert LAST[function] in states[-1]
    assert LAST[function] not in states[0]
    assert capsys.readouterr() == ("", "")
    function(progress=False)
    assert len(cell) == 1


def test_a_notebook_is_not_flooded(cell):
    with progress_bar(TextColumn("work"), automatic=True) as bar:
        task = bar.add_task("", total=2000)
        began = time.monotonic()
        for _ in range(2000):
            bar.update(task, advance=1)
        seconds = time.monotonic() - began
    assert len(cell[0]) <= 3 + seconds / 0.2
    assert "2000/2000" in cell[0][-1]


@pytest.mark.parametrize(
    ("term", "parent", "expected"),
    [("xterm", None, True), ("dumb", None, False), ("xterm", "a process", False)],
)
def test_rule_of_the_terminal(term, parent, expected, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("hybridopt._streams.parent_process", lambda: parent)
    with redirect_stderr(Terminal()):
        assert shows_progress() is expected
    with redirect_stderr(None):
        assert not shows_progress()
    assert not in_notebook()


def test_one_automatic_bar_at_a_time():
    def bars(*, automatic):
        with progress_bar(TextColumn("outer"), automatic=True) as outer:
            outer.add_task("", total=1)
            with progress_bar(TextColumn("inner"), automatic=automatic) as inner:
                return not outer.disable, not inner.disable

    with redirect_stderr(Terminal()):
        assert bars(automatic=True) == (True, False)
        assert bars(automatic=False) == (True, True)


def test_a_bar_is_written_to_standard_error(monkeypatch, capsys):
    console = progress_console()
    console.print("at 50 %")
    assert capsys.readouterr() == ("", "at 50 %\n")
    monkeypatch.setattr("sys.stderr", Failing(BrokenPipeError()))
    progress_console().print("at 50 %")
