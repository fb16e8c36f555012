"""Checkpoints: everything a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from hybridopt._files import check_writable, write_whole
from hybridopt.errors import ArgumentTypeError, CheckpointError
from hybridopt.storage.architecture import describe, difference

__all__ = ["check_match", "check_path", "check_trained", "describe", "load", "options_of", "save"]

SCHEMA = 1


def options_of(optimizer: Optimizer) -> str:
    """The settings of an optimizer, as a text that tells one from another.

    The learning rate is the one that a scheduler started from: it notes that beside the present
    one, which says how far a run is and not which run it is.
    """
    groups = [
        {
            **{k: v for k, v in group.items() if k not in {"params", "initial_lr"}},
            **_first_lr(group),
        }
        for group in optimizer.param_groups
    ]
    return repr(groups[0] if len(groups) == 1 else groups)


def _first_lr(group: dict[str, Any]) -> dict[str, Any]:
    return {"lr": group["initial_lr"]} if "initial_lr" in group else {}


def check_path(path: object) -> None:
    """Refuse a place where no checkpoint can be written, before any work is done.

    Raises:
        ArgumentTypeError: If it is no path.
        OutputError: If it is a folder, or cannot be written.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"Argument `checkpoint` must be a path or None, but is {path!r} of type "
            f"{type(path).__name__}."
        )
    check_writable(path)


def save(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; `torch.load(weights_only=True)` reads it."""
    write_whole(path, lambda stream: torch.save({"schema": SCHEMA, **state}, stream))


def load(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read a checkpoint, without running any code in it; None if there is none yet.

    Raises:
        CheckpointError: If the file is damaged or of another kind or version.
    """
    file = Path(path)
    if not file.exists():
        return None
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:
        raise CheckpointError(
            f"{file} is damaged or no checkpoint ({type(error).__name__}). Delete it to start "
            "afresh, or choose another file."
        ) from error
    if not isinstance(state, dict) or "history" not in state or "settings" not in state:
        raise CheckpointError(f"{file} is no checkpoint of a training run. Choose another file.")
    if state.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{file} has schema {state.get('schema')}, but this version reads {SCHEMA}."
        )
    return dict(state)


def check_match(
    path: str | os.PathLike[str], state: dict[str, Any], settings: dict[str, Any]
) -> None:
    """Refuse a checkpoint of another network, other data or another way of training.

    Raises:
        CheckpointError: Naming what differs.
    """
    saved = state["settings"]
    if saved.get("network") != settings["network"]:
        where = difference(saved.get("network") or {}, settings["network"])
        raise CheckpointError(
            f"{os.fspath(path)} belongs to another network: {where}. Choose another file."
        )
    for key in sorted({*saved, *settings}, key=["lr", *settings, *saved].index):
        if saved.get(key) != settings.get(key):
            raise CheckpointError(
                f"{os.fspath(path)} was written with {key}={saved.get(key)!r}, but this run has "
                f"{key}={settings.get(key)!r}. Resume with the same arguments, or choose another "
                "file."
            )


def check_trained(
    path: str | os.PathLike[str], state: dict[str, Any], trained: list[list[str]]
) -> None:
    """Refuse a checkpoint whose optimizer holds other parameters than that of this run.

    Args:
        path: Of the file, for the message.
        state: What stands in it; files of the first versions have no names.
        trained: Names of the parameters in the groups of this run's optimizer.

    Raises:
        CheckpointError: Naming the parameters, or how many they are.
    """
    sizes = [len(group["params"]) for group in state["optimizer"]["param_groups"]]
    saved = state.get("trained")
    if sizes == [len(group) for group in trained] and saved in (None, trained):
        return
    raise CheckpointError(
        f"{os.fspath(path)} was written by an optimizer of other parameters: "
        f"{_other_parameters(saved, trained, sizes)}. Resume with the same callbacks (`Unfreeze` "
        "adds what it will unfreeze), the same frozen layers and the same groups, or choose "
        "another file."
    )


def _other_parameters(
    saved: list[list[str]] | None, trained: list[list[str]], sizes: list[int]
) -> str:
    here = [name for group in trained for name in group]
    if saved is None:
        return f"it holds {sum(sizes)}, and that of this run {len(here)}"
    there = [name for group in saved for name in group]
    more = [name for name in there if name not in here]
    less = [name for name in here if name not in there]
    parts = [
        *([f"it holds {', '.join(more)}, that of this run does not"] if more else []),
        *([f"that of this run holds {', '.join(less)}, it does not"] if less else []),
    ]
    return "; ".join(parts) or "the same ones, in other groups or in another order"
