"""Versions and machine of a result, and the number of torch threads."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch", "numpy")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def made_with() -> dict[str, Any]:
    """Return ``versions`` of the main packages, and a description of the ``machine``."""
    return {
        "versions": versions(PACKAGES),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of torch threads in the block; one thread is fastest for small tensors."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
