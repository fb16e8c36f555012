"""Marks on modules: frozen parts and the new head of a transferred network.

`hybridopt.transfer` sets and removes them. Bridges, training and storage must keep them, so they
are defined below all of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

HEAD_NAME = "_transfer_head"  # attribute of a transferred network: name of its head
MARK = "_frozen"  # attribute of a module with frozen parameters
TRAIN = "train"  # attribute that replaces the method of a module locked in evaluation mode


class Frozen(NamedTuple):
    """Changes that `freeze` made to one module, and that `unfreeze` undoes."""

    parameters: tuple[str, ...] = ()  # names of its parameters that were trainable
    whole: bool = False  # True if the whole module was frozen, with its statistics


@dataclass(frozen=True, eq=False)
class EvalModeLock:
    """Replacement of `train` of a frozen module; an object, because copies keep it."""

    module: nn.Module

    def __call__(self, mode: bool = True) -> nn.Module:
        """Set the mode of all submodules, but keep the module in evaluation mode."""
        type(self.module).train(self.module, mode)
        self.module.training = False
        return self.module


def mark_of(module: nn.Module) -> Frozen:
    """Return the changes that `freeze` made to a module."""
    mark: Frozen = getattr(module, MARK, Frozen())
    return mark


def head_of(network: nn.Module) -> nn.Module | None:
    """Return the head that `transfer` gave to a network or to a part of it."""
    for module in network.modules():
        name = getattr(module, HEAD_NAME, None)
        if name is not None:
            return module.get_submodule(name)
    return None


def eval_locked(module: nn.Module) -> bool:
    """Return True if a module is locked in evaluation mode."""
    return isinstance(module.__dict__.get(TRAIN), EvalModeLock)


def lock_eval(module: nn.Module) -> None:
    """Lock a module with buffers in evaluation mode, so that they do not change."""
    if any(True for _ in module.buffers(recurse=False)):
        module.training = False
        module.__dict__[TRAIN] = EvalModeLock(module)


def unlock_eval(module: nn.Module, mode: bool) -> None:
    """Unlock a module and set it to a mode."""
    if eval_locked(module):
        del module.__dict__[TRAIN]
        module.training = mode


def is_mark(name: str, value: object) -> bool:
    """Return True if an attribute of a module is one of these marks."""
    return name in {HEAD_NAME, MARK} or isinstance(value, EvalModeLock)


def marks_of(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the marks in a network as JSON, by module name."""
    stored = {}
    for name, module in network.named_modules():
        mark, head = mark_of(module), getattr(module, HEAD_NAME, None)
        if mark != Frozen() or head is not None:
            stored[name] = {
                "head": head,
                "parameters": list(mark.parameters),
                "whole": mark.whole,
                "eval_locked": eval_locked(module),
            }
    return stored


def put_marks(network: nn.Module, stored: dict[str, dict[str, Any]]) -> None:
    """Replace all marks in a network by those of `marks_of`."""
    for name, module in network.named_modules():
        for attribute, value in list(vars(module).items()):
            if is_mark(attribute, value):
                del module.__dict__[attribute]
        if name not in stored:
            continue
        marks = stored[name]
        if marks["head"] is not None:
            setattr(module, HEAD_NAME, marks["head"])
        setattr(module, MARK, Frozen(tuple(marks["parameters"]), marks["whole"]))
        if marks["eval_locked"]:
            lock_eval(module)
