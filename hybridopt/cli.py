"""The command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import hybridopt
from hybridopt.bench import options, write_outcome
from hybridopt.data import dataset_names
from hybridopt.errors import HybridOptError
from hybridopt.execution import available_devices
from hybridopt.files import output_folder
from hybridopt.optim import OPTIMIZERS
from hybridopt.study import RunOutcome, RunSettings, run_main_job, write_report
from hybridopt.study.circuit_summary import (
    gallery_dicts,
    gallery_table,
    summarize,
    summary_table,
)
from hybridopt.study.compare_command import compare_methods
from hybridopt.study.convert_command import convert_file
from hybridopt.study.draw_command import draw_network
from hybridopt.study.report import results_dict, table_rows

INTERRUPTED = 130  # the shell's code for Ctrl-C

app = typer.Typer(
    help="Train networks on torch and as quantum circuits on Qiskit Aer, and compare fairly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]


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


@app.command()
def run(
    data: Annotated[str, typer.Option(help=f"Dataset: {', '.join(dataset_names())}.")] = "digits",
    network: Annotated[
        str,
        typer.Option(help="`mlp:64-20-10`, `file.py:function`, or `auto` (20 hidden units)."),
    ] = "auto",
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = "adam",
    start_epochs: Annotated[int, typer.Option(help="Classical epochs before the circuit.")] = 1,
    epochs: Annotated[int, typer.Option(help="Epochs on the circuit.")] = 5,
    fine_tuning_epochs: Annotated[int, typer.Option(help="Classical epochs after it.")] = 5,
    shots: Annotated[
        int | None, typer.Option(help="Shots a setting; without, exact simulation.")
    ] = None,
    shots_per_weight: Annotated[
        int | None, typer.Option(help="Shots a setting, in multiples of the weights' places.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of data, weights, order and shots.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("results/run"),
    as_json: Json = False,
) -> None:
    """Train a network, carry it into a circuit, train it there, carry it back and fine-tune it."""
    settings = RunSettings(
        data=data,
        network=network,
        optimizer=optimizer,
        start_epochs=start_epochs,
        epochs=epochs,
        fine_tuning_epochs=fine_tuning_epochs,
        shots=shots,
        shots_per_weight=shots_per_weight,
        seed=seed,
    )
    output_folder(output)
    with _interruptible():
        outcome = run_main_job(settings, progress=not as_json)
    page = write_report(outcome, output)
    if as_json:
        sys.stdout.write(json.dumps(results_dict(outcome), indent=2) + "\n")
    else:
        _print_outcome(outcome, page)


@app.command()
def bench(
    suite: options.Suite = "simulators",
    problem: options.Problems = None,
    circuit: options.Circuits = None,
    gradient: options.Gradients = None,
    method: options.Methods = None,
    device: options.Devices = None,
    precision: options.Precisions = None,
    batch: options.Batches = None,
    shots: options.Shots = None,
    repetitions: options.Repetitions = None,
    seed: Annotated[int, typer.Option(help="Of angles, inputs and shots.")] = 0,
    peers: options.Peers = False,
    peer: options.Peer = None,
    max_seconds: options.MaxSeconds = None,
    quick: Annotated[bool, typer.Option("--quick", help="End within a minute.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for figures.")] = Path("results/bench"),
    as_json: Json = False,
) -> None:
    """Measure simulators: gradient rule x method x device x problem x batch x shots.

    Lists are written with commas, or options repeated. With --peers the same circuits run in other
    libraries, each checked first and timed in turn.
    """
    settings = options.simulator_settings(
        problems=problem,
        circuits=circuit,
        gradients=gradient,
        methods=method,
        devices=device,
        precisions=precision,
        batches=batch,
        shots=shots,
        repetitions=repetitions,
        seed=seed,
        peers=peers,
        peer=peer,
        max_seconds=max_seconds,
        quick=quick,
    )
    output_folder(output)
    console = Console(stderr=as_json)
    with _interruptible(), console.status("measuring") as status:
        outcome = options.run_suites(suite, settings, status.update)
    page = write_outcome(outcome, output)
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_dict(), indent=2) + "\n")
        return
    options.show(outcome, console)
    console.print(f"Page: {page}", soft_wrap=True)


app.command("compare")(compare_methods)
app.command("convert")(convert_file)
app.command("draw")(draw_network)


@app.command()
def circuits(
    name_or_file: Annotated[
        str | None,
        typer.Argument(help="A circuit of the gallery, or an OpenQASM 3 file such as `mine.qasm`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the gallery of circuits; or show one of them, or a file of yours, and how it is run."""
    summary = None if name_or_file is None else summarize(name_or_file)
    if as_json:
        content = gallery_dicts() if summary is None else asdict(summary)
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    console = Console()
    console.print(gallery_table() if summary is None else summary_table(summary))
    if summary is not None:
        console.print(Text(summary.drawing), soft_wrap=True)


@app.command()
def devices(as_json: Json = False) -> None:
    """Show which devices this build of Aer can use, and how to change the build."""
    names = available_devices()
    content: dict[str, Any] = {"devices": list(names), "gpu": "GPU" in names}
    if as_json:
        sys.stdout.write(json.dumps(content) + "\n")
        return
    console = Console()
    console.print(f"Aer devices: {', '.join(names)}")
    if "GPU" not in names:
        console.print(
            "For the GPU (Linux, CUDA), replace the package: `pip uninstall qiskit-aer`, then "
            "`pip install qiskit-aer-gpu`. Both hold the same files, so only one may be there."
        )


def main() -> None:
    """Entry point: our errors become one line, for people and for scripts."""
    try:
        app()
    except HybridOptError as error:
        line = Text.assemble(("Error:", "bold red"), " ", " ".join(str(error).split()))
        Console(stderr=True).print(line, soft_wrap=True)
        sys.exit(2)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C during the work, before anything is written, ends with the shell's code for it."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; nothing was written.")
        raise typer.Exit(INTERRUPTED) from None


def _print_outcome(outcome: RunOutcome, page: Path) -> None:
    header, rows = table_rows(outcome)
    table = Table(
        title=f"{outcome.data.name}: a network into a circuit and back",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(header):
        table.add_column(name, justify="right" if position else "left", no_wrap=position == 0)
    for position, row in enumerate(rows):
        if position == len(outcome.stages):
            table.add_row()
            table.add_row("controls", style="italic dim")
        table.add_row(*row, style="bold" if position == len(outcome.stages) - 1 else None)
    console = Console()
    console.print(table)
    console.print(
        "On the test part, one seed. numbers: what is trained. change: the largest change of a "
        "weight at the conversion, as the circuit reads it.\nNo quantum speed-up: without shots "
        "the circuit equals the formula of the twin.",
        style="dim",
    )
    console.print(f"{outcome.seconds:.0f} s in all. Report: {page}", soft_wrap=True)
