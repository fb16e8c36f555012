"""Cache of the last readout of a circuit, valid while executor and angles are unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from hybridopt.execution import Metered

Reading = dict[str, Tensor]  # tensors of one readout by name, as files store them


class ReadoutCache:
    """Cache of one readout with its executor and angles; copies and pickles keep it."""

    def __init__(self) -> None:
        self._held: tuple[Metered | None, Tensor, Reading] | None = None

    def recall(self, executor: Metered | None, angles: Tensor) -> Reading | None:
        """Return the last readout; None if it had another executor or other angles."""
        if self._held is None:
            return None
        by, at, read = self._held
        holds = by is executor and at.device == angles.device and torch.equal(at, angles)
        return read if holds else None

    def keep(self, executor: Metered | None, angles: Tensor, read: Reading) -> None:
        """Store a readout of this executor at these angles."""
        self._held = (executor, angles.detach().clone(), read)


def is_own(angles: Tensor) -> bool:
    """Return True if angles are a module's own parameter on a real device."""
    return isinstance(angles, nn.Parameter) and not angles.is_meta


class HasReadoutCache(ABC):
    """Module with a cached readout; files store it, because shots cannot be repeated."""

    angles: Tensor
    _cache: ReadoutCache

    @property
    @abstractmethod
    def _reuses_readout(self) -> bool:
        """Whether a readout stays valid until the angles change, as in eval mode."""

    def cached_readout(self) -> Reading:
        """Return the cached readout by tensor name; empty if it is not valid."""
        return self._cache.recall(getattr(self, "executor", None), self.angles) or {}

    def restore_readout(self, read: Reading) -> None:
        """Store a readout as that of the present executor at the present angles."""
        self._cache.keep(getattr(self, "executor", None), self.angles, read)

    @torch.no_grad()
    def _read_once(self, read: Callable[[], Reading]) -> Reading | None:
        """Return the cached readout, read now if it is not valid; None if it is not reused."""
        if not self._reuses_readout:
            self._cache = ReadoutCache()
            return None
        with temporarily_clear_interpreter_stack():  # tensors of a torch transform expire with it
            known = self.cached_readout() or read()
            self.restore_readout(known)
        return known


def without_readouts(network: nn.Module) -> nn.Module:
    """Remove the cached readouts of a network, such as a copy to be timed, and return it."""
    for module in network.modules():
        if isinstance(module, HasReadoutCache):
            module._cache = ReadoutCache()
    return network
