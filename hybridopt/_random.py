"""Random generators: blocks with a seed that leave the global state unchanged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def global_state() -> dict[str, Any]:
    """Return the state of the generators of torch (CPU), numpy and Python as plain types."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }


def restore_global_state(state: dict[str, Any]) -> None:
    """Restore a state of `global_state`."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        (name, np.asarray(keys, dtype=np.uint32), position, has_gauss, cached)
    )
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def isolated(seed: int | None) -> Iterator[None]:
    """Seed the global generators for a block (None: randomly), then restore their state."""
    before = global_state()
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        value = np.random.SeedSequence(seed).generate_state(1)[0]
        torch.manual_seed(int(value))
        np.random.seed(int(value))  # noqa: NPY002
        random.seed(int(value))
        try:
            yield
        finally:
            restore_global_state(before)
