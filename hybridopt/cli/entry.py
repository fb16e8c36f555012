"""The program `hybridopt`: its commands, and how our errors look there."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

import hybridopt
from hybridopt.cli.bench import bench_simulators
from hybridopt.cli.circuits import show_circuits
from hybridopt.cli.compare import compare_methods
from hybridopt.cli.convert import convert_file
from hybridopt.cli.devices import show_devices
from hybridopt.cli.draw import draw_network
from hybridopt.cli.run import run_job
from hybridopt.cli.train import train_network
from hybridopt.errors import HybridOptError

app = typer.Typer(
    help="Train networks on torch and as quantum circuits on Qiskit Aer, and compare fairly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(show: bool) -> None:
    if show:
        Console().print(f"hybridopt {hybridopt.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train networks on torch and as quantum circuits on Qiskit Aer, and compare fairly."""


app.command("run")(run_job)
app.command("train")(train_network)
app.command("compare")(compare_methods)
app.command("convert")(convert_file)
app.command("draw")(draw_network)
app.command("circuits")(show_circuits)
app.command("bench")(bench_simulators)
app.command("devices")(show_devices)


def main() -> None:
    """Entry point: our errors become one line, for people and for scripts."""
    try:
        app()
    except HybridOptError as error:
        line = Text.assemble(("Error:", "bold red"), " ", " ".join(str(error).split()))
        Console(stderr=True).print(line, soft_wrap=True)
        sys.exit(2)
