"""Marks on modules: what is frozen while the rest is trained, and where a new head is.

They lie here, below all that trains, carries and stores networks, as each of these must leave them
in place. `hybridopt.transfer` puts them and takes them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

HEAD_NAME = "_transfer_head"  # on a transferred network: the name of its head
MARK = "_frozen"  # on a module with something frozen in it
TRAIN = "train"  # on a module that is locked in evaluation mode: what takes the place of the method


class Frozen(NamedTuple):
    """What `freeze` did to one module, so that `unfreeze` undoes that and nothing else."""

    parameters: tuple[str, ...] = ()  # names of its own that were trainable
    whole: bool = False  # frozen as a whole, its statistics included


@dataclass(frozen=True, eq=False)
class EvalModeLock:
    """In the place of a frozen module's `train`: an object, as functions are not copied with it."""

    module: nn.Module

    def __call__(self, mode: bool = True) -> nn.Module:
        """What `nn.Module.train` does, but for the module itself."""
        type(self.module).train(self.module, mode)
        self.module.training = False
        return self.module


def mark_of(module: nn.Module) -> Frozen:
    """What `freeze` has done to a module so far."""
    mark: Frozen = getattr(module, MARK, Frozen())
    return mark


def head_of(network: nn.Module) -> nn.Module | None:
    """The head that `transfer` gave to a network, or to a part of it."""
    for module in network.modules():
        name = getattr(module, HEAD_NAME, None)
        if name is not None:
            return module.get_submodule(name)
    return None


def eval_locked(module: nn.Module) -> bool:
    """Whether a module stays in evaluation mode, whatever mode its network is in."""
    return isinstance(module.__dict__.get(TRAIN), EvalModeLock)


def lock_eval(module: nn.Module) -> None:
    """Keep a module that has buffers of its own in evaluation mode, so that they do not change."""
    if any(True for _ in module.buffers(recurse=False)):
        module.training = False
        module.__dict__[TRAIN] = EvalModeLock(module)


def unlock_eval(module: nn.Module, mode: bool) -> None:
    """Let a locked module follow its network again, whose mode is given."""
    if eval_locked(module):
        del module.__dict__[TRAIN]
        module.training = mode


def is_mark(name: str, value: object) -> bool:
    """Whether an attribute of a module is one of these marks, and nothing of the module's own."""
    return name in {HEAD_NAME, MARK} or isinstance(value, EvalModeLock)


def marks_of(network: nn.Module) -> dict[str, dict[str, Any]]:
    """The marks in a network as JSON, by the names of the modules that bear them."""
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
    """Put the marks that `marks_of` found on a network of the same parts, and no others."""
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
