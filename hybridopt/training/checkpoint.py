"""Checkpoints: the complete state of a training run, for an exact continuation."""

from __future__ import annotations

import json
import os
import reprlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from hybridopt._environment import OWN, versions
from hybridopt._files import write_whole
from hybridopt.errors import CheckpointError
from hybridopt.execution.executor import Metered
from hybridopt.storage.architecture import describe, difference
from hybridopt.storage.archive import check_schema, opened, signed
from hybridopt.storage.json_codec import plain_part, to_plain
from hybridopt.storage.torch_file import TorchFile, dump
from hybridopt.training.gradient_steps import StepOptions
from hybridopt.training.history import History
from hybridopt.training.loop import Training
from hybridopt.training.restoring import StateError, check_settings, history_of, restore, state_of

SCHEMA = 3  # ends with a digest, like a file of `hybridopt.save`
READ = (2, SCHEMA)  # schemas that are read


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
            try:
                check_settings(self._state["settings"])
                self.history = history_of(self._state["history"])
            except StateError as error:
                raise self._damaged(error) from error

    def open(self, training: Training) -> None:
        """Record the settings of this run; if the file exists, compare and restore its state."""
        if self._path is None:
            return
        if training.schedule is not None:
            training.schedule.check_storable()
        self._settings = self._identity(training)
        if self._state is not None and self.history is not None:
            self._check_match(self._state["settings"])
            try:
                restore(training, self._state)
            except StateError as error:
                raise self._damaged(error) from error
            training.history.records = self.history.records
            training.history.range_test = self.history.range_test

    def save(self, training: Training) -> None:
        """Write the state after an epoch; `torch.load` can read it, too."""
        if self._path is None:
            return
        state = {
            "schema": SCHEMA,
            "version": versions([OWN])[OWN],
            "settings": self._settings,
            **state_of(training),
            "history": training.history.to_dict(),
        }
        write_whole(self._path, lambda stream: stream.write(signed(dump(state))))

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
            "executors": [_settings_of(executor) for executor in training.executors],
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

    def _damaged(self, error: StateError) -> CheckpointError:
        return CheckpointError(
            f"{self._path} must have the content that `fit` wrote (got {error}). Delete it to "
            "start again, or choose another file."
        )

    def _check_match(self, saved: dict[str, Any]) -> None:
        """Raise an error if the checkpoint is from another network, other data or settings."""
        here = self._settings
        for key in sorted({*saved, *here}, key=["network", "lr", *here, *saved].index):
            there, own = saved.get(key), here.get(key)
            if there == own or (key == "executors" and there is None):  # in older files
                continue
            shown, same = f"{key}={there!r}, this run has {key}={own!r}", "arguments"
            if key == "network":
                shown = f"another network: {difference(there or {}, here[key])}"
            elif key == "executors":
                shown = f"another executor: {_other_setting(there or [], here[key])}"
            elif key == "trained":
                shown = f"other parameters: {_other_parameters(there or [], here[key])}"
                same = "frozen layers, groups and callbacks (`Unfreeze` adds parameters)"
            raise CheckpointError(
                f"{self._path} must belong to this run (got {shown}). Resume with the same {same}, "
                "or choose another file."
            )


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint; no code in it is run."""
    with opened(path) as (stream, has_digest):
        try:
            state = TorchFile(stream).load()
        except Exception as error:
            raise CheckpointError(
                f"{path} is damaged or not a checkpoint ({error}). Delete it to start again, or "
                "choose another file."
            ) from error
    if not isinstance(state, dict) or not {"schema", "settings", "history"} <= state.keys():
        raise CheckpointError(f"{path} is not a checkpoint of a training run. Choose another file.")
    # files of the first schema have no version
    check_schema(path, state["schema"], state.get("version", "0.1.0"), READ)
    if state["schema"] == SCHEMA and not has_digest:
        raise CheckpointError(
            f"{path} is damaged: its digest is missing. Delete it to start again, or choose "
            "another file."
        )
    return state


def _options(optimizer: Optimizer) -> str:
    """Return the settings of an optimizer as a text, with its initial learning rate."""
    groups = [
        {**group, "lr": group.get("initial_lr", group["lr"])} for group in optimizer.param_groups
    ]
    for group in groups:
        group.pop("params")
        group.pop("initial_lr", None)
    return repr(groups[0] if len(groups) == 1 else groups)


def _settings_of(executor: Metered) -> str:
    """Return class and settings of an executor as JSON, without those that may change."""
    plain, _ = plain_part(executor.settings())
    kept = {name: value for name, value in plain.items() if name not in executor.changeable}
    settings = {name: to_plain(value) for name, value in kept.items()}
    return json.dumps({"class": type(executor).__name__, **settings}, sort_keys=True)


def _other_setting(saved: list[str], own: list[str]) -> str:
    """Return the first setting that differs between the executors of the file and of this run."""
    if len(saved) != len(own):
        return f"{len(saved)} executors, this run has {len(own)}"
    for there, here in zip(map(json.loads, saved), map(json.loads, own), strict=True):
        for name in {"class": None, **there, **here}:
            if there.get(name) != here.get(name):
                values = (reprlib.repr(one.get(name)) for one in (there, here))
                return "{0}={1}, this run has {0}={2}".format(name, *values)
    return "settings written in another form"


def _other_parameters(saved: list[list[str]], own: list[list[str]]) -> str:
    there, here = ([name for group in groups for name in group] for groups in (saved, own))
    more = ", ".join(name for name in there if name not in here)
    less = ", ".join(name for name in here if name not in there)
    parts = [f"only in the file {more}"] if more else []
    parts += [f"only in this run {less}"] if less else []
    return "; ".join(parts) or "the same names in other groups or in another order"
