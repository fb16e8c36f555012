"""Modules that remember what they read from a circuit."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from hybridopt.execution import Metered


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
