"""The file of a training run: what stands in it, and going on from it."""

from __future__ import annotations

import os
from typing import Any

import torch

from hybridopt._random import global_state, restore_global_state
from hybridopt.training import checkpoint as checkpoints
from hybridopt.training.history import History, RangeTest
from hybridopt.training.loop import Training


class RunFile:
    """The checkpoint of one call of `fit`, read when it is made; without a path it does nothing.

    Args:
        path: Where it stands, or shall stand.
        seed: Of the run.
        auto_lr: Whether a range test chooses the learning rate.

    Raises:
        CheckpointError: If the file is damaged or of another kind or version.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, seed: int | None, auto_lr: bool
    ) -> None:
        self._path = path
        self._seed = seed
        self._auto_lr = auto_lr
        self._state = None if path is None else checkpoints.load(path)
        self._settings: dict[str, Any] = {}

    @property
    def exists(self) -> bool:
        """Whether there is a run to go on with."""
        return self._state is not None

    @property
    def range_test(self) -> RangeTest | None:
        """Of the run in the file."""
        return None if self._state is None else History.from_dict(self._state["history"]).range_test

    def open(self, training: Training) -> None:
        """Note what identifies this run, and go on from the file if it is there.

        Raises:
            CheckpointError: If the file belongs to another network, other data, another way of
                training or other parameters that are trained; names what differs.
            ArgumentError: If the file could not keep the state of the scheduler.
        """
        if self._path is None:
            return
        if training.schedule is not None:
            training.schedule.check_storable()
        self._settings = self._identity(training)
        if self._state is not None:
            checkpoints.check_match(self._path, self._state, self._settings)
            checkpoints.check_trained(self._path, self._state, _trained(training))
            _restore(training, self._state)

    def save(self, training: Training) -> None:
        """Write the state after an epoch, whole or not at all."""
        if self._path is None:
            return
        state = {
            "settings": self._settings,
            "network": training.network.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "trained": _trained(training),
            "executors": [executor.state_dict() for executor in training.executors],
            "order": _order(training).get_state(),
            "random": global_state(),
            "history": training.history.to_dict(),
        }
        if training.schedule is not None:
            state["schedule"] = training.schedule.state_dict()
        checkpoints.save(self._path, state)

    def _identity(self, training: Training) -> dict[str, Any]:
        loss, schedule = training.loss, training.schedule
        settings = {
            "network": checkpoints.describe(training.network),
            "optimizer": type(training.optimizer).__name__,
            "data": training.data.batches.fingerprint(),
            "seed": self._seed,
            "options": checkpoints.options_of(training.optimizer),
            "loss": getattr(loss, "__qualname__", type(loss).__qualname__),
            "shots": [getattr(executor, "shots", None) for executor in training.executors],
        }
        if schedule is not None:
            settings["scheduler"] = schedule.describe()
        if self._auto_lr:
            settings["lr"] = "auto"
        return settings


def _restore(training: Training, state: dict[str, Any]) -> None:
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    for executor, position in zip(training.executors, state["executors"], strict=True):
        executor.load_state_dict(position)
    if training.schedule is not None:
        training.schedule.load_state_dict(state["schedule"])
    _order(training).set_state(state["order"])
    restore_global_state(state["random"])
    history = History.from_dict(state["history"])
    training.history.records = history.records
    training.history.range_test = history.range_test
    training.good.keep()
    training.good.approve()


def _trained(training: Training) -> list[list[str]]:
    """Names of what the optimizer holds, group by group."""
    names = {id(parameter): name for name, parameter in training.network.named_parameters()}
    return [
        [names.get(id(parameter), "one of another network") for parameter in group["params"]]
        for group in training.optimizer.param_groups
    ]


def _order(training: Training) -> torch.Generator:
    return training.data.batches.generator
