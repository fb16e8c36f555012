"""The command `hybridopt train`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybridopt._files import output_folder
from hybridopt.bridges import BRIDGES
from hybridopt.cli import options
from hybridopt.cli.interrupts import INTERRUPTED
from hybridopt.cli.training_run import TrainOutcome, TrainSettings, run_training, write_trained
from hybridopt.errors import ArgumentError
from hybridopt.gradients import GRADIENTS
from hybridopt.training.schedulers import SCHEDULERS

MOST_ROWS = 12  # of epochs in the terminal; history.json has all


def train_network(
    data: options.Data = "digits",
    network: options.Network = "auto",
    start: Annotated[
        Path | None,
        typer.Option(help="State_dict to start from; or a file of `convert`, in its circuits."),
    ] = None,
    bridge: Annotated[
        str | None,
        typer.Option(help=f"Train in circuits: {', '.join(BRIDGES)}. Without, as it is."),
    ] = None,
    option: options.BridgeOptions = None,
    gradient: Annotated[
        str | None, typer.Option(help=f"Of the circuits: {', '.join(GRADIENTS)}.")
    ] = None,
    shots: options.Shots = None,
    optimizer: options.OptimizerName = "adam",
    lr: Annotated[
        str | None,
        typer.Option(help="Learning rate, or `auto` for a range test; without, the optimizer's."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes through the training part.")] = 5,
    batch_size: Annotated[
        str, typer.Option(help="Samples a batch, `all`, or `auto` (all for gd, newton, lbfgs).")
    ] = "auto",
    scheduler: Annotated[
        str | None, typer.Option(help=f"Of the learning rate: {', '.join(SCHEDULERS)}.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="File to write after each epoch; the same command goes on from it."),
    ] = None,
    seed: options.Seed = 0,
    output: Annotated[Path, typer.Option(help="Folder for network, history and picture.")] = Path(
        "results/train"
    ),
    as_json: options.Json = False,
) -> None:
    """Train one network on torch, or in circuits with --bridge, and keep it.

    Ctrl-C ends training early; what was trained until then is written all the same.
    """
    settings = TrainSettings(
        data=data,
        network=network,
        start=start,
        bridge=bridge,
        options=tuple(option or ()),
        gradient=gradient,
        shots=shots,
        optimizer=optimizer,
        lr=_rate(lr),
        epochs=epochs,
        batch_size=_batch_size(batch_size),
        scheduler=scheduler,
        checkpoint=checkpoint,
        seed=seed,
    )
    output_folder(output)
    outcome = run_training(settings, progress=not as_json)
    files = write_trained(outcome, output)
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_dict(), indent=2) + "\n")
    else:
        _show(outcome, files)
    if outcome.history.status == "interrupted":
        Console(stderr=True).print(
            f"Interrupted; epochs that were finished: {len(outcome.history)}. What was trained is "
            f"in {output}.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED)


def _rate(text: str | None) -> float | str | None:
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"Argument `lr` must be a number or `auto`, but is {text!r}.") from None


def _batch_size(text: str) -> int | str | None:
    if text in {"auto", "all"}:
        return "auto" if text == "auto" else None
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(
            f"Argument `batch_size` must be a whole number, `all` or `auto`, but is {text!r}."
        ) from None


def _show(outcome: TrainOutcome, files: list[Path]) -> None:
    console = Console()
    console.print(_table(outcome))
    history = outcome.history
    if len(history) > MOST_ROWS:
        console.print(f"The last {MOST_ROWS} of {len(history)} epochs.", style="dim")
    found = "" if history.range_test is None else f" Learning rate {history.range_test.lr:.2g}."
    console.print(
        f"Ended: {history.reason}.{found} {sum(history.seconds):.1f} s of training.",
        soft_wrap=True,
    )
    for file in files:
        console.print(Text(f"Written: {file}"), soft_wrap=True)


def _table(outcome: TrainOutcome) -> Table:
    metric = "accuracy" if outcome.history.metric_name == "accuracy" else "R^2"
    title = Text(outcome.data.name)
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("epoch", "training loss", "test loss", f"test {metric}", "settings", "shots", "s"):
        table.add_column(name, justify="right")
    for record in outcome.history.records[-MOST_ROWS:]:
        table.add_row(
            str(record.epoch),
            f"{record.train_loss:.4f}",
            "" if record.test_loss is None else f"{record.test_loss:.4f}",
            "" if record.metric is None else f"{record.metric:.3f}",
            f"{record.settings:,}",
            f"{record.shots:,}",
            f"{record.seconds:.2f}",
        )
    return table
