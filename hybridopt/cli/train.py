"""Command `hybridopt train`: one network, on torch or in circuits."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace as Settings
from typing import Annotated, Any

from rich.console import Console
from torch import nn

from hybridopt._environment import made_with
from hybridopt._files import check_folder, write_bytes, write_text
from hybridopt._plots import png, subplots
from hybridopt.bridges import BRIDGES, QuantumNetwork, to_quantum
from hybridopt.cli import options
from hybridopt.cli.networks import parsed_options
from hybridopt.cli.options import number, opt
from hybridopt.cli.output import interrupted, plain_table, print_files, print_json, writing
from hybridopt.data import Dataset, load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor
from hybridopt.gradients import GRADIENTS
from hybridopt.nn.network_spec import build_network
from hybridopt.storage import load, save
from hybridopt.storage.archive import is_archive
from hybridopt.storage.torch_file import dump
from hybridopt.training import History, fit
from hybridopt.training.schedulers import SCHEDULERS
from hybridopt.transfer.pretrained import load_weights

MOST_ROWS = 12  # last epochs that are printed; history.json contains all


def command(
    data: options.Data = "digits",
    network: options.Network = "auto",
    start: Annotated[Path | None, opt("File of weights, or of `convert`, to start.")] = None,
    bridge: Annotated[str | None, opt(f"Bridge to circuits: {', '.join(BRIDGES)}.")] = None,
    option: options.BridgeOptions = None,
    gradient: Annotated[str | None, opt(f"Gradient rule: {', '.join(GRADIENTS)}.")] = None,
    shots: options.Shots = None,
    device: Annotated[
        str | None, opt("Device of the circuits, or of the network without --bridge: CPU or GPU.")
    ] = None,
    optimizer: options.OptimizerName = "adam",
    lr: Annotated[str | None, opt("Learning rate, or `auto` (range test); optional.")] = None,
    epochs: Annotated[int, opt("Number of passes through the training part.")] = 5,
    batch_size: Annotated[
        str, opt("Samples per batch, `all`, or `auto` (all for gd, newton, lbfgs).")
    ] = "auto",
    scheduler: Annotated[str | None, opt(f"Scheduler: {', '.join(SCHEDULERS)}.")] = None,
    clip_grad_norm: Annotated[float | None, opt("Largest norm of the gradient.")] = None,
    accumulate: Annotated[int, opt("Number of batches per step.")] = 1,
    checkpoint: Annotated[Path | None, opt("File to save each epoch and continue from.")] = None,
    seed: options.Seed = 0,
    output: Annotated[Path, opt("Folder for the results.")] = Path("results/train"),
    as_json: options.Json = False,
) -> None:
    """Train one network on torch, or in circuits with --bridge, and save it.

    Ctrl-C, SIGTERM and SIGHUP end the training early; the network trained so far is saved.
    """
    size: Any = None if batch_size == "all" else batch_size
    if size not in {None, "auto"}:
        size = number("batch_size", size, int, "a whole number, `all` or `auto`")
    rate = lr if lr in {None, "auto"} else number("lr", str(lr), float, "a number or `auto`")
    settings = Settings(
        data=data, network=network, start=start, bridge=bridge, options=option or [],
        gradient=gradient, shots=shots, device=device, optimizer=optimizer, lr=rate, epochs=epochs,
        batch_size=size, scheduler=scheduler, clip_grad_norm=clip_grad_norm, accumulate=accumulate,
        checkpoint=checkpoint, seed=seed,
    )  # fmt: skip
    _check(settings)
    check_folder(output)
    trained_on = load_dataset(data, seed=seed)
    trained = _start(settings, trained_on)
    label = (bridge or "training") if not as_json else False
    history = fit(
        trained, trained_on, optimizer=optimizer, lr=rate, epochs=epochs, batch_size=size,
        scheduler=scheduler, clip_grad_norm=clip_grad_norm, accumulate=accumulate,
        checkpoint=checkpoint, seed=seed, progress=label,
        device=device if bridge is None else None,
    )  # fmt: skip
    with writing(output):
        content = _content(settings, trained_on, trained, history)
        files = _write(output, content, trained, history)
    if as_json:
        print_json(content)
    else:
        _show(trained_on.name, history, files)
    if history.status == "interrupted":
        after = f"Interrupted after epoch {len(history)}."
        raise interrupted(f"{after} The trained network is in {output}.")


def _content(
    settings: Settings, trained_on: Dataset, trained: nn.Module, history: History
) -> dict[str, Any]:
    return {
        "data": trained_on.name,
        "task": trained_on.task,
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()},
        "num_trainable": sum(p.numel() for p in trained.parameters() if p.requires_grad),
        "history": history.to_dict(),
        **made_with(),
    }


def _check(settings: Settings) -> None:
    """Refuse options that exclude each other, before anything is loaded."""
    in_circuits = settings.start is not None and is_archive(settings.start)
    if in_circuits and settings.bridge is not None:
        raise ArgumentError(
            f"`bridge` must not be given with {settings.start}, which contains a quantum network. "
            "Omit --bridge, or convert the file with `hybridopt convert` first."
        )
    shots = None if in_circuits else settings.shots
    if in_circuits and settings.device is not None:
        raise ArgumentError(
            f"`device` must not be given with {settings.start}, whose circuits have their "
            'executor. In Python, use `load(path, executor=AerExecutor(device="GPU"))`.'
        )
    needs = {"--option": settings.options, "--gradient": settings.gradient, "--shots": shots}
    for option, value in needs.items():
        if value and settings.bridge is None:
            raise ArgumentError(
                f"`bridge` must be given with {option}. Pass, for example, `--bridge memory`."
            )


def _start(settings: Settings, data: Dataset) -> nn.Module:
    start, executor = settings.start, None
    device = settings.device or "CPU"
    if settings.shots is not None:  # otherwise that of the file, or exact
        executor = AerExecutor(device, shots=settings.shots, seed=settings.seed)
    if start is not None and is_archive(start):
        auto = settings.network == "auto"  # a network of torch.nn needs no template
        template = None if auto else build_network(settings.network, data, seed=settings.seed)
        return load(start, template, executor=executor)
    network = build_network(settings.network, data, seed=settings.seed)
    if start is not None:
        load_weights(network, start)
    if settings.bridge is None:
        return network
    rule = {} if settings.gradient is None else {"gradient": settings.gradient}
    executor = executor or AerExecutor(device, seed=settings.seed)
    return to_quantum(
        network, settings.bridge, executor=executor, **rule, **parsed_options(settings.options)
    )


def _write(
    target: Path, content: dict[str, Any], network: nn.Module, history: History
) -> list[Path]:
    """Write network.pt, history.json, training.png and, for a network in circuits, network.ho."""
    figure, axes = subplots(9, 3.4, columns=2)
    history.plot(axes)
    picture = png(figure)
    plain = network.decode() if isinstance(network, QuantumNetwork) else network
    state = plain.state_dict()
    return [
        write_bytes(target / "network.pt", dump(state)),
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
        console.print(f"Last {MOST_ROWS} of {len(history)} epochs.", style="dim")
    found = "" if history.range_test is None else f" Learning rate {history.range_test.lr:.2g}."
    console.print(
        f"End: {history.reason}.{found} Training time: {sum(history.seconds):.1f} s.",
        soft_wrap=True,
    )
    print_files(files)
