"""Checkpoints: the complete state of a training run, for an exact continuation."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from hybridopt._files import write_whole
from hybridopt._random import global_state, restore_global_state
from hybridopt.errors import CheckpointError
from hybridopt.storage.architecture import describe, difference
from hybridopt.storage.archive import check_schema
from hybridopt.training.gradient_steps import StepOptions
from hybridopt.training.history import History
from hybridopt.training.loop import Training

SCHEMA = 2


class Checkpoint:
    """Checkpoint file of one call of `fit`; without a path, all methods do nothing."""

    def __init__(
        self, path: str | os.PathLike[str] | None, *, seed: int | None, auto_lr: bool
    ) -> None:
        self._path = path
        self._seed = seed
        self._auto_lr = auto_lr
        self._state = None if path is None or not Path(path).exists() else _read(Path(path))
        self._settings: dict[str, Any] = {}
        self.history: History | None = None  # the history in the file
        if self._state is not None:
            self.history = History.from_dict(self._state["history"])

    def open(self, training: Training) -> None:
        """Record the settings of this run; if the file exists, compare and restore its state."""
        if self._path is None:
            return
        if training.schedule is not None:
            training.schedule.check_storable()
        self._settings = self._identity(training)
        if self._state is not None and self.history is not None:
            self._check_match(self._state["settings"])
            _restore(training, self._state)
            training.history.records = self.history.records
            training.history.range_test = self.history.range_test

    def save(self, training: Training) -> None:
        """Write the state after an epoch, for ``torch.load(weights_only=True)``."""
        if self._path is None:
            return
        state = {
            "schema": SCHEMA,
            "version": version("hybridopt-qiskit"),
            "settings": self._settings,
            "network": training.network.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "executors": [executor.state_dict() for executor in training.executors],
            "order": training.data.batches.generator.get_state(),
            "random": global_state(),
            "history": training.history.to_dict(),
        }
        if training.schedule is not None:
            state["schedule"] = training.schedule.scheduler.state_dict()
        write_whole(self._path, lambda stream: torch.save(state, stream))

    def _identity(self, training: Training) -> dict[str, Any]:
        loss, schedule = training.loss, training.schedule
        names = {id(parameter): name for name, parameter in training.network.named_parameters()}
        settings = {
            "network": describe(training.network),
            "optimizer": type(training.optimizer).__name__,
            "data": training.data.batches.fingerprint(),
            "seed": self._seed,
            "options": _options(training.optimizer),
            "loss": getattr(loss, "__qualname__", type(loss).__qualname__),
            "shots": [getattr(executor, "shots", None) for executor in training.executors],
            "trained": [
                [names.get(id(p), "a parameter of another network") for p in group["params"]]
                for group in training.optimizer.param_groups
            ],
        }
        defaults = asdict(StepOptions())
        given = asdict(training.step_options)
        settings |= {key: value for key, value in given.items() if value != defaults[key]}
        if schedule is not None:
            settings["scheduler"] = schedule.describe()
        if self._auto_lr:
            settings["lr"] = "auto"
        return settings

    def _check_match(self, saved: dict[str, Any]) -> None:
        """Raise an error if the checkpoint is from another network, other data or settings."""
        here = self._settings
        for key in sorted({*saved, *here}, key=["network", "lr", *here, *saved].index):
            there, own = saved.get(key), here.get(key)
            if there == own:
                continue
            shown, same = f"{key}={there!r}, this run has {key}={own!r}", "arguments"
            if key == "network":
                shown = f"another network: {difference(there or {}, here[key])}"
            elif key == "trained":
                shown = f"other parameters: {_other_parameters(there or [], here[key])}"
                same = "frozen layers, groups and callbacks (`Unfreeze` adds parameters)"
            raise CheckpointError(
                f"{self._path} must belong to this run (got {shown}). Resume with the same {same}, "
                "or choose another file."
            )


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint; no code in it is run."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint ({type(error).__name__}). Delete it to start "
            "again, or choose another file."
        ) from error
    if not isinstance(state, dict) or not {"schema", "settings", "history"} <= state.keys():
        raise CheckpointError(f"{path} is not a checkpoint of a training run. Choose another file.")
    # files of the first schema have no version
    check_schema(path, state["schema"], state.get("version", "0.1.0"), SCHEMA)
    return state


def _restore(training: Training, state: dict[str, Any]) -> None:
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    for executor, position in zip(training.executors, state["executors"], strict=True):
        executor.load_state_dict(position)
    if training.schedule is not None:
        training.schedule.scheduler.load_state_dict(state["schedule"])
    training.data.batches.generator.set_state(state["order"])
    restore_global_state(state["random"])
    training.good.keep()
    training.good.approve()


def _options(optimizer: Optimizer) -> str:
    """Return the settings of an optimizer as a text, with its initial learning rate."""
    groups = [
        {**group, "lr": group.get("initial_lr", group["lr"])} for group in optimizer.param_groups
    ]
    for group in groups:
        group.pop("params")
        group.pop("initial_lr", None)
    return repr(groups[0] if len(groups) == 1 else groups)


def _other_parameters(saved: list[list[str]], own: list[list[str]]) -> str:
    there, here = ([name for group in groups for name in group] for groups in (saved, own))
    more = ", ".join(name for name in there if name not in here)
    less = ", ".join(name for name in here if name not in there)
    parts = [f"only in the file {more}"] if more else []
    parts += [f"only in this run {less}"] if less else []
    return "; ".join(parts) or "the same names in other groups or in another order"
