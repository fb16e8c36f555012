"""How commands end when they are interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

INTERRUPTED = 130  # the shell's code for Ctrl-C


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during the work, before anything is written, ends with the shell's code for it."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; nothing was written.")
        raise typer.Exit(INTERRUPTED) from None
