"""What commands print: JSON, tables, files, and how they end on Ctrl-C."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

INTERRUPTED = 130  # the shell's code for Ctrl-C


def print_json(content: object) -> None:
    """Print JSON for machines."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def print_files(files: Iterable[object]) -> None:
    """Name the files that were written, one per line."""
    for file in files:
        Console().print(Text(f"Written: {file}"), soft_wrap=True)


def plain_table(title: str = "", *, gap: int = 1, header: bool = True) -> Table:
    """Return an empty table without lines; its title is text, and no markup."""
    words, sides = Text(title) if title else None, (0, gap, 0, 0)
    return Table(title=words, title_justify="left", box=None, padding=sides, show_header=header)


@contextmanager
def interruptible() -> Iterator[None]:
    """End with the shell's code on Ctrl-C during the work, before anything is written."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; nothing was written.")
        raise typer.Exit(INTERRUPTED) from None
