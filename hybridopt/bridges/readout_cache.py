"""What was read of a circuit, for as long as it would be read alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from hybridopt.execution import Metered

Read = TypeVar("Read")


class LastReading(Generic[Read]):
    """One reading, with the executor and the angles it was made with.

    It holds until either changes. Copies and pickles are empty: they read for themselves.
    """

    def __init__(self) -> None:
        self._held: tuple[Metered, Tensor, Read] | None = None

    def recall(self, executor: Metered, angles: Tensor) -> Read | None:
        """What was read by this executor at these angles; None if that was not the last reading."""
        if self._held is None:
            return None
        by, at, read = self._held
        holds = by is executor and at.device == angles.device and torch.equal(at, angles)
        return read if holds else None

    @torch.no_grad()
    def recall_or(self, executor: Metered, angles: Tensor, read: Callable[[], Read]) -> Read:
        """The same, or where there is none, what is read now and kept."""
        known = self.recall(executor, angles)
        if known is None:
            known = read()
            self.keep(executor, angles, known)
        return known

    def keep(self, executor: Metered, angles: Tensor, read: Read) -> None:
        """Take this for what the executor read at these angles."""
        self._held = (executor, angles.detach().clone(), read)

    def forget(self) -> None:
        """Keep nothing."""
        self._held = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_held": None}


def is_own(angles: Tensor) -> bool:
    """Whether a module's angles are its parameter, on a device that computes.

    functional_call and torch.func put tensors in the parameter's place: nothing to remember.
    """
    return isinstance(angles, nn.Parameter) and not angles.is_meta


@runtime_checkable
class Remembering(Protocol):
    """Reads its circuit once and uses that again, until angles or executor change.

    What was drawn with shots cannot be read again, so files keep it.
    """

    @property
    def executor(self) -> Metered:
        """What read."""
        ...

    def remembered(self) -> dict[str, Tensor]:
        """What was read and still holds, by names; nothing if there is nothing."""
        ...

    def remember(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles by the present executor."""
        ...
