"""Cache of the last readout of a circuit, valid while executor and angles are unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt.execution import Metered

Reading = dict[str, Tensor]  # tensors of one readout by name, as files store them


class ReadoutCache:
    """Cache of one readout with its executor and angles; copies and pickles are empty."""

    def __init__(self) -> None:
        self._held: tuple[Metered | None, Tensor, Reading] | None = None

    def recall(self, executor: Metered | None, angles: Tensor) -> Reading | None:
        """Return the last readout; None if it had another executor or other angles."""
        if self._held is None:
            return None
        by, at, read = self._held
        holds = by is executor and at.device == angles.device and torch.equal(at, angles)
        return read if holds else None

    @torch.no_grad()
    def recall_or(
        self, executor: Metered | None, angles: Tensor, read: Callable[[], Reading]
    ) -> Reading:
        """Return the last readout if it is valid; otherwise read again and keep the result."""
        known = self.recall(executor, angles)
        if known is None:
            known = read()
            self.keep(executor, angles, known)
        return known

    def keep(self, executor: Metered | None, angles: Tensor, read: Reading) -> None:
        """Store a readout of this executor at these angles."""
        self._held = (executor, angles.detach().clone(), read)

    def forget(self) -> None:
        """Delete the stored readout."""
        self._held = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_held": None}


def is_own(angles: Tensor) -> bool:
    """Return True if angles are a module's own parameter on a real device."""
    return isinstance(angles, nn.Parameter) and not angles.is_meta


class HasReadoutCache:
    """Module with a cached readout; files store it, because shots cannot be repeated."""

    angles: Tensor
    _cache: ReadoutCache

    def cached_readout(self) -> Reading:
        """Return the cached readout by tensor name; empty if it is not valid."""
        return self._cache.recall(getattr(self, "executor", None), self.angles) or {}

    def restore_readout(self, read: Reading) -> None:
        """Store a readout as that of the present executor at the present angles."""
        self._cache.keep(getattr(self, "executor", None), self.angles, read)
