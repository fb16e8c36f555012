"""Checkpoints: everything a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from hybridopt.bridges.description import describe, difference
from hybridopt.errors import ArgumentTypeError, CheckpointError
from hybridopt.files import check_writable, write_whole

__all__ = ["check_match", "check_path", "describe", "load", "options_of", "save"]

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
