"""Cache of the last readout of a circuit, valid while executor and angles are unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from hybridopt.execution import Metered

Read = TypeVar("Read")


class ReadoutCache(Generic[Read]):
    """One readout, with executor and angles, until either changes; copies and pickles are empty."""

    def __init__(self) -> None:
        self._held: tuple[Metered | None, Tensor, Read] | None = None

    def recall(self, executor: Metered | None, angles: Tensor) -> Read | None:
        """Return what this executor read at these angles; None if that was not the last readout."""
        if self._held is None:
            return None
        by, at, read = self._held
        holds = by is executor and at.device == angles.device and torch.equal(at, angles)
        return read if holds else None

    @torch.no_grad()
    def recall_or(self, executor: Metered | None, angles: Tensor, read: Callable[[], Read]) -> Read:
        """Return the same, or where there is none, what is read now and kept."""
        known = self.recall(executor, angles)
        if known is None:
            known = read()
            self.keep(executor, angles, known)
        return known

    def keep(self, executor: Metered | None, angles: Tensor, read: Read) -> None:
        """Take this for what the executor read at these angles."""
        self._held = (executor, angles.detach().clone(), read)

    def forget(self) -> None:
        """Keep nothing."""
        self._held = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_held": None}


def is_own(angles: Tensor) -> bool:
    """Whether angles are a module's parameter, not put in its place, and on a real device."""
    return isinstance(angles, nn.Parameter) and not angles.is_meta


class HasReadoutCache(ABC):
    """A module that keeps a readout; files keep it, too, as shots cannot be drawn again."""

    @abstractmethod
    def cached_readout(self) -> dict[str, Tensor]:
        """Return what was read and still holds, by names; nothing if there is nothing."""

    @abstractmethod
    def restore_readout(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles by the present executor."""
