"""The command line: a command a file; `main` is the program."""

from hybridopt.cli.entry import app, main

__all__ = ["app", "main"]
