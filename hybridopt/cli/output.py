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

from hybridopt.cli.process import exit_code, is_signaled, uninterrupted


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
def interruptible(kept: Callable[[], str] = lambda: "nothing was written") -> Iterator[None]:
    """After a signal, print which results are kept, and exit with the code of a shell."""
    try:
        yield
    except KeyboardInterrupt:
        raise interrupted(f"Interrupted; {kept()}.") from None


@contextmanager
def writing(folder: object) -> Iterator[None]:
    """Write all files in a block, also if a signal arrives, and exit after the block."""
    with uninterrupted():
        yield
    if is_signaled():
        raise interrupted(f"Interrupted; all files are in {folder}.")


def interrupted(message: str) -> typer.Exit:
    """Print a message, and return the end of the program after a signal."""
    Console(stderr=True).print(Text(message), soft_wrap=True)
    return typer.Exit(exit_code())
