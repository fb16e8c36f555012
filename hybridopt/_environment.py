"""What results were made with, for those who want to make them again."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch

PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch", "numpy")


def made_with() -> dict[str, Any]:
    """``versions`` of the packages that numbers follow from, and the ``machine`` in words."""
    return {
        "versions": {package: version(package) for package in PACKAGES},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch so many threads, and the caller's number back afterwards.

    Small tensors gain nothing from more than one, and on a busy machine threads that wait for each
    other spoil the times.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
