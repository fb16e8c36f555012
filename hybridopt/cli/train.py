"""The command `hybridopt train`: one network, as it is or in circuits, from a start to files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace as Settings
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch import nn

from hybridopt._environment import made_with
from hybridopt._files import output_folder, write_bytes, write_text, write_whole
from hybridopt._plots import png
from hybridopt.bridges import BRIDGES, QuantumNetwork, to_quantum
from hybridopt.cli import options
from hybridopt.cli.networks import parsed_options
from hybridopt.cli.options import number, opt
from hybridopt.cli.output import INTERRUPTED, plain_table, print_files, print_json
from hybridopt.data import Dataset, load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor
from hybridopt.gradients import GRADIENTS
from hybridopt.nn.network_spec import build_network
from hybridopt.storage import load, save
from hybridopt.storage.archive import is_archive
from hybridopt.training import History, fit
from hybridopt.training.schedulers import SCHEDULERS
from hybridopt.transfer.pretrained import load_weights

MOST_ROWS = 12  # of epochs in the terminal; history.json has all


def command(
    data: options.Data = "digits",
    network: options.Network = "auto",
    start: Annotated[Path | None, opt("State_dict, or file of `convert`, to start from.")] = None,
    bridge: Annotated[str | None, opt(f"Train in circuits: {', '.join(BRIDGES)}.")] = None,
    option: options.BridgeOptions = None,
    gradient: Annotated[str | None, opt(f"Of the circuits: {', '.join(GRADIENTS)}.")] = None,
    shots: options.Shots = None,
    optimizer: options.OptimizerName = "adam",
    lr: Annotated[
        str | None, opt("Rate, or `auto` for a range test; without, the optimizer's.")
    ] = None,
    epochs: Annotated[int, opt("Passes through the training part.")] = 5,
    batch_size: Annotated[
        str, opt("Samples a batch, `all`, or `auto` (all for gd, newton, lbfgs).")
    ] = "auto",
    scheduler: Annotated[str | None, opt(f"Of the learning rate: {', '.join(SCHEDULERS)}.")] = None,
    checkpoint: Annotated[
        Path | None, opt("File to write after each epoch; the same command goes on from it.")
    ] = None,
    seed: options.Seed = 0,
    output: Annotated[Path, opt("For network, history, picture.")] = Path("results/train"),
    as_json: options.Json = False,
) -> None:
    """Train one network on torch, or in circuits with --bridge, and keep it.

    Ctrl-C ends training early; what was trained until then is written all the same.
    """
    size: Any = None if batch_size == "all" else batch_size
    if size not in {None, "auto"}:
        size = number("batch_size", size, int, "a whole number, `all` or `auto`")
    rate = lr if lr in {None, "auto"} else number("lr", str(lr), float, "a number or `auto`")
    settings = Settings(
        data=data, network=network, start=start, bridge=bridge, options=option or [],
        gradient=gradient, shots=shots, optimizer=optimizer, lr=rate, epochs=epochs,
        batch_size=size, scheduler=scheduler, checkpoint=checkpoint, seed=seed,
    )  # fmt: skip
    _check(settings)
    output_folder(output)
    trained_on = load_dataset(data, seed=seed)
    trained = _start(settings, trained_on)
    label = (bridge or "training") if not as_json else False
    history = fit(
        trained, trained_on, optimizer=optimizer, lr=rate, epochs=epochs, batch_size=size,
        scheduler=scheduler, checkpoint=checkpoint, seed=seed, progress=label,
    )  # fmt: skip
    content = _content(settings, trained_on, trained, history)
    files = _write(output, content, trained, history)
    if as_json:
        print_json(content)
    else:
        _show(trained_on.name, history, files)
    if history.status == "interrupted":
        words = f"epochs that were finished: {len(history)}. What was trained is in {output}."
        Console(stderr=True).print(f"Interrupted; {words}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED)


def _check(settings: Settings) -> None:
    """Refuse at once what does not go together."""
    in_circuits = settings.start is not None and is_archive(settings.start)
    if in_circuits and settings.bridge is not None:
        raise ArgumentError(
            f"{settings.start} holds a network in its circuits already. Leave out --bridge, or "
            "carry it back first: `hybridopt convert`."
        )
    shots = None if in_circuits else settings.shots
    needs = {"--option": settings.options, "--gradient": settings.gradient, "--shots": shots}
    for option, value in needs.items():
        if value and settings.bridge is None:
            raise ArgumentError(f"{option} is for circuits: say which by --bridge.")


def _start(settings: Settings, data: Dataset) -> nn.Module:
    start, executor = settings.start, None
    if settings.shots is not None:  # else as a file or the default says
        executor = AerExecutor(shots=settings.shots, seed=settings.seed)
    if start is not None and is_archive(start):
        auto = settings.network == "auto"  # networks of torch.nn alone need no template
        template = None if auto else build_network(settings.network, data, seed=settings.seed)
        return load(start, template, executor=executor)
    network = build_network(settings.network, data, seed=settings.seed)
    if start is not None:
        load_weights(network, start)
    if settings.bridge is None:
        return network
    rule = {} if settings.gradient is None else {"gradient": settings.gradient}
    executor = executor or AerExecutor(seed=settings.seed)
    return to_quantum(
        network, settings.bridge, executor=executor, **rule, **parsed_options(settings.options)
    )


def _content(
    settings: Settings, data: Dataset, network: nn.Module, history: History
) -> dict[str, Any]:
    """Return the content of history.json."""
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()}
    return {
        "data": data.name,
        "task": data.task,
        "settings": plain,
        "num_trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "history": history.to_dict(),
        **made_with(),
    }


def _write(
    target: Path, content: dict[str, Any], network: nn.Module, history: History
) -> list[Path]:
    """Write network.pt, history.json, training.png and, for a network in circuits, network.ho."""
    picture = png(history.plot())
    plain = network.decode() if isinstance(network, QuantumNetwork) else network
    state = plain.state_dict()
    return [
        write_whole(target / "network.pt", lambda stream: torch.save(state, stream)),
        *([save(network, target / "network.ho")] if isinstance(network, QuantumNetwork) else ()),
        write_text(target / "history.json", json.dumps(content, indent=2) + "\n"),
        write_bytes(target / "training.png", picture),
    ]


def _show(name: str, history: History, files: list[Path]) -> None:
    metric = "accuracy" if history.metric_name == "accuracy" else "R^2"
    columns = {
        "epoch": ("epoch", ""), "training loss": ("train_loss", ".4f"),
        "test loss": ("test_loss", ".4f"), f"test {metric}": ("metric", ".3f"),
        "settings": ("settings", ","), "shots": ("shots", ","), "s": ("seconds", ".2f"),
    }  # fmt: skip
    rows = [
        ["" if (value := getattr(record, name)) is None else format(value, form)
         for name, form in columns.values()]
        for record in history.records[-MOST_ROWS:]
    ]  # fmt: skip
    console = Console()
    console.print(plain_table(columns, rows, title=name, left=()))
    if len(history) > MOST_ROWS:
        console.print(f"The last {MOST_ROWS} of {len(history)} epochs.", style="dim")
    found = "" if history.range_test is None else f" Learning rate {history.range_test.lr:.2g}."
    console.print(
        f"Ended: {history.reason}.{found} {sum(history.seconds):.1f} s of training.", soft_wrap=True
    )
    print_files(files)
