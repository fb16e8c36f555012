"""Output of commands: JSON, tables, names of files, and the end on Ctrl-C."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

INTERRUPTED = 130  # exit code of a shell after Ctrl-C


def print_json(content: object) -> None:
    """Print a result as JSON."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def print_files(files: Iterable[object]) -> None:
    """Print the names of written files, one per line."""
    for file in files:
        Console().print(Text(f"Written: {file}"), soft_wrap=True)


def plain_table(
    header: Iterable[str], rows: Iterable[Iterable[str]], *, title: str = "",
    left: Container[int] = (0,), no_wrap: Container[int] = (), styles: Iterable[str | None] = (),
) -> Table:  # fmt: skip
    """Return a table without lines; columns outside of ``left`` are right-aligned."""
    words, sides = Text(title) if title else None, (0, 1, 0, 0)
    table = Table(title=words, title_justify="left", box=None, padding=sides)
    for n, name in enumerate(header):
        side = "left" if n in left else "right"
        table.add_column(name, justify=side, no_wrap=n in no_wrap, overflow="fold")  # type: ignore[arg-type]
    for row, style in zip_longest(rows, styles):
        table.add_row(*map(Text, row), style=style)
    return table


@contextmanager
def interruptible(kept: Callable[[], str] = lambda: "nothing was written.") -> Iterator[None]:
    """On Ctrl-C, print which results are kept, and exit with the code of a shell."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print(f"Interrupted; {kept()}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
