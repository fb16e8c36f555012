"""The command `hybridopt circuits`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybridopt.cli import options
from hybridopt.cli.circuit_summary import CircuitSummary, gallery_dicts, summarize

LIST_HEADER = ("name", "qubits", "inputs", "weights", "what it is")


def show_circuits(
    name_or_file: Annotated[
        str | None,
        typer.Argument(help="A circuit of the gallery, or an OpenQASM 3 file such as `mine.qasm`."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the gallery of circuits; or show one of them, or a file of yours, and how it is run."""
    summary = None if name_or_file is None else summarize(name_or_file)
    if as_json:
        content = gallery_dicts() if summary is None else asdict(summary)
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    console = Console()
    console.print(_gallery_table() if summary is None else _summary_table(summary))
    if summary is not None:
        console.print(Text(summary.drawing), soft_wrap=True)


def _summary_table(summary: CircuitSummary) -> Table:
    """Its facts for people."""
    table = Table(title=summary.name, show_header=False, box=None, padding=(0, 1, 0, 0))
    for word, value in summary.facts():
        table.add_row(Text(word, style="dim"), Text(value))
    return table


def _gallery_table() -> Table:
    """The gallery for people."""
    table = Table(title="The gallery of circuits", box=None, padding=(0, 1, 0, 0))
    for header in LIST_HEADER:
        numeric = header in {"qubits", "inputs", "weights"}
        table.add_column(header, justify="right" if numeric else "left", no_wrap=header == "name")
    for row in gallery_dicts():
        table.add_row(*(Text(str(value)) for value in row.values()))
    return table
