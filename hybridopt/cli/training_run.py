"""Train one network, as it is or in circuits, from a start to files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybridopt import _validation
from hybridopt._environment import made_with
from hybridopt._files import output_folder, write_bytes, write_text, write_whole
from hybridopt._plots import png
from hybridopt.bridges import BRIDGES, QuantumNetwork, to_quantum
from hybridopt.cli.conversion import parsed_options
from hybridopt.data import Dataset, load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.gradients import GRADIENTS
from hybridopt.nn.network_spec import build_network
from hybridopt.optim import OPTIMIZERS
from hybridopt.storage import load, save
from hybridopt.storage.archive import is_archive
from hybridopt.training import History, fit
from hybridopt.transfer.pretrained import load_weights


@dataclass(frozen=True)
class TrainSettings:
    """What `hybridopt train` is asked to do.

    Attributes:
        data: Name of a dataset.
        network: As `build_network` reads it.
        start: File of weights to start from: a state_dict, or what `hybridopt.save` wrote, which
            is a network in its circuits; None starts at random.
        bridge: Into which circuits, by name; None trains the network as it is.
        options: Of the bridge, as texts ``"key=value"``.
        gradient: Rule by name; only where there is a bridge.
        shots: A setting; None is exact, or what the file says.
        optimizer: By name.
        lr: Learning rate; None is the optimizer's default, ``"auto"`` a range test.
        epochs: Passes through the data.
        batch_size: Samples a batch; ``"auto"`` as in `hybridopt.fit`, None for all.
        scheduler: Of the learning rate, by name.
        checkpoint: File that is written after each epoch, and gone on from if it is there.
        seed: Of everything.
    """

    data: str = "digits"
    network: str = "auto"
    start: Path | None = None
    bridge: str | None = None
    options: tuple[str, ...] = ()
    gradient: str | None = None
    shots: int | None = None
    optimizer: str = "adam"
    lr: float | str | None = None
    epochs: int = 5
    batch_size: int | str | None = "auto"
    scheduler: str | None = None
    checkpoint: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _validation.choice("optimizer", self.optimizer, OPTIMIZERS)
        _validation.optional_integer("shots", self.shots, minimum=1)
        _validation.integer("seed", self.seed, minimum=0)
        parsed_options(self.options)
        if self.bridge is not None:
            _validation.choice("bridge", self.bridge, BRIDGES)
        if self.gradient is not None:
            _validation.choice("gradient", self.gradient, GRADIENTS)
        in_circuits = self.start is not None and is_archive(self.start)
        if in_circuits and self.bridge is not None:
            raise ArgumentError(
                f"{self.start} holds a network in its circuits already. Leave out --bridge, or "
                "carry it back first: `hybridopt convert`."
            )
        needs_bridge: dict[str, object] = {"--option": self.options, "--gradient": self.gradient}
        if not in_circuits:
            needs_bridge["--shots"] = self.shots
        for option, value in needs_bridge.items():
            if value and self.bridge is None:
                raise ArgumentError(f"{option} is for circuits: say which by --bridge.")


@dataclass(frozen=True)
class TrainOutcome:
    """A trained network.

    Attributes:
        settings: What was asked.
        data: What it was trained on.
        network: As it was trained.
        history: Its epochs.
    """

    settings: TrainSettings
    data: Dataset
    network: nn.Module
    history: History

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON: the content of history.json."""
        trainable = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self.settings).items()
        }
        return {
            "data": self.data.name,
            "task": self.data.task,
            "settings": settings,
            "num_trainable": trainable,
            "history": self.history.to_dict(),
            **made_with(),
        }


def run_training(settings: TrainSettings, *, progress: bool = False) -> TrainOutcome:
    """Train; nothing is written but the checkpoint.

    Ctrl-C ends it with the status ``"interrupted"`` and the weights of the last whole step.

    Raises:
        HybridOptError: If data, network, file and options do not fit each other.
    """
    data = load_dataset(settings.data, seed=settings.seed)
    network = _start(settings, data)
    history = fit(
        network,
        data,
        optimizer=settings.optimizer,
        lr=settings.lr,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        scheduler=settings.scheduler,
        checkpoint=settings.checkpoint,
        seed=settings.seed,
        progress=(settings.bridge or "training") if progress else False,
    )
    return TrainOutcome(settings, data, network, history)


def write_trained(outcome: TrainOutcome, folder: str | Path) -> list[Path]:
    """Write network.pt, history.json, training.png and, for a network in circuits, network.ho.

    Args:
        outcome: Of `run_training`.
        folder: Is made if it is missing; other files in it are left alone.

    Returns:
        The files: network.pt is a state_dict of the plain network, network.ho what
        `hybridopt.save` writes.

    Raises:
        OutputError: If the folder cannot be written.
    """
    target = output_folder(folder)
    network = outcome.network
    picture = png(outcome.history.plot())
    plain = network.decode() if isinstance(network, QuantumNetwork) else network
    state = plain.state_dict()
    written = [write_whole(target / "network.pt", lambda stream: torch.save(state, stream))]
    if isinstance(network, QuantumNetwork):
        written.append(save(network, target / "network.ho"))
    content = json.dumps(outcome.as_dict(), indent=2) + "\n"
    written.append(write_text(target / "history.json", content))
    written.append(write_bytes(target / "training.png", picture))
    return written


def _start(settings: TrainSettings, data: Dataset) -> nn.Module:
    start = settings.start
    if start is not None and is_archive(start):
        auto = settings.network == "auto"  # networks of torch.nn alone need no template
        template = None if auto else build_network(settings.network, data, seed=settings.seed)
        return load(start, template, executor=_executor(settings))
    network = build_network(settings.network, data, seed=settings.seed)
    if start is not None:
        load_weights(network, start)
    if settings.bridge is None:
        return network
    rule = {} if settings.gradient is None else {"gradient": settings.gradient}
    options = parsed_options(settings.options)
    executor = _executor(settings) or AerExecutor(seed=settings.seed)
    return to_quantum(network, settings.bridge, executor=executor, **rule, **options)


def _executor(settings: TrainSettings) -> Executor | None:
    """With the shots that were asked for; None leaves what a file or the default says."""
    if settings.shots is None:
        return None
    return AerExecutor(shots=settings.shots, seed=settings.seed)
