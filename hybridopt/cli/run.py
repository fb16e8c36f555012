"""The command `hybridopt run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console

from hybridopt._files import output_folder
from hybridopt.cli import options
from hybridopt.cli.options import opt
from hybridopt.cli.output import interruptible, plain_table, print_json
from hybridopt.demo import RunOutcome, RunSettings, run_main_job, write_report
from hybridopt.demo.report import results_dict, table_rows

NOTE = """On the test part, one seed. parameters: what is trained. change: the largest change of a \
weight at the conversion, as the circuit reads it.
No quantum speed-up: without shots the circuit equals the formula of the twin."""


def command(
    data: options.Data = "digits",
    network: options.Network = "auto",
    optimizer: options.OptimizerName = "adam",
    start_epochs: Annotated[int, opt("Classical epochs before the circuit.")] = 1,
    epochs: Annotated[int, opt("Epochs on the circuit.")] = 5,
    fine_tuning_epochs: Annotated[int, opt("Classical epochs after it.")] = 5,
    shots: options.Shots = None,
    shots_per_weight: Annotated[int | None, opt("As multiples of the weights' places.")] = None,
    seed: options.Seed = 0,
    output: Annotated[Path, opt("Folder for the report.")] = Path("results/run"),
    as_json: options.Json = False,
) -> None:
    """Train a network, carry it into a circuit, train it there, carry it back and fine-tune it."""
    epochs_of = start_epochs, epochs, fine_tuning_epochs
    settings = RunSettings(data, network, optimizer, *epochs_of, shots, shots_per_weight, seed)
    output_folder(output)
    with interruptible():
        outcome = run_main_job(settings, progress=not as_json)
    page = write_report(outcome, output)
    if as_json:
        print_json(results_dict(outcome))
    else:
        _show(outcome, page)


def _show(outcome: RunOutcome, page: Path) -> None:
    header, rows = table_rows(outcome)
    stages = len(outcome.stages)
    styles = [*[None] * (stages - 1), "bold", None, "italic dim"]
    rows = [*rows[:stages], [], ["controls"], *rows[stages:]]
    title = f"{outcome.data.name}: a network into a circuit and back"
    console = Console()
    console.print(plain_table(header, rows, title=title, no_wrap=(0,), styles=styles))
    console.print(NOTE, style="dim")
    console.print(f"{outcome.seconds:.0f} s in all. Report: {page}", soft_wrap=True)
