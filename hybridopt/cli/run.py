"""Command `hybridopt run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console

from hybridopt._files import check_folder
from hybridopt.cli import options
from hybridopt.cli.options import opt
from hybridopt.cli.output import interruptible, plain_table, print_json, writing
from hybridopt.demo import RunOutcome, RunSettings, run_main_job, write_report
from hybridopt.demo.report import results_dict, table_rows

NOTE = """Test part, one seed. settings: circuits that hardware would run in training. parameters: \
number of trained parameters. change: largest change of a weight by the conversion, read from the \
circuit.
Controls: classical takes the same steps without a circuit, random-subspace has random directions \
in place of the circuit, twin is the circuit's formula in torch.
No quantum speed-up: without shots and noise, the circuit and its twin compute the same function."""


def command(
    data: options.Data = "digits",
    network: options.Network = "auto",
    optimizer: options.OptimizerName = "adam",
    start_epochs: Annotated[int, opt("Number of classical epochs before the circuit.")] = 1,
    epochs: Annotated[int, opt("Number of epochs on the circuit.")] = 5,
    fine_tuning_epochs: Annotated[int, opt("Number of classical epochs at the end.")] = 5,
    shots: options.Shots = None,
    shots_per_weight: Annotated[int | None, opt("Shots per weight, on average.")] = None,
    seed: options.Seed = 0,
    executor: options.ExecutorName = None,
    device: options.Device = None,
    output: Annotated[Path, opt("Folder for the report.")] = Path("results/run"),
    as_json: options.Json = False,
) -> None:
    """Train a network, convert it to a circuit, train it there, convert it back, fine-tune."""
    epochs_of = start_epochs, epochs, fine_tuning_epochs
    settings = RunSettings(
        data, network, optimizer, *epochs_of, shots, shots_per_weight, seed, executor, device
    )
    check_folder(output)
    with interruptible():
        outcome = run_main_job(settings, progress=not as_json)
    with writing(output):
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
    title = f"{outcome.data.name}: conversion to a circuit and back"
    console = Console()
    console.print(plain_table(header, rows, title=title, no_wrap=(0,), styles=styles))
    console.print(NOTE, style="dim")
    console.print(f"Total time: {outcome.seconds:.0f} s. Report: {page}", soft_wrap=True)
