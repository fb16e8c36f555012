"""Command line: one module per command; `main` is the program."""

from hybridopt.cli.entry import app, main

__all__ = ["app", "main"]
