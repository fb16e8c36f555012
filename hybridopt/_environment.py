"""Versions and machine of a result, and the number of torch threads."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any

import torch

OWN = "hybridopt-qiskit"  # name of our distribution
PACKAGES = (OWN, "qiskit", "qiskit-aer", "torch", "numpy")
# modules of packages that always run with ours, possibly without metadata: from a checkout, in a
# frozen program, or from another distribution such as qiskit-aer-gpu
MODULES = {package: package.replace("-", "_") for package in PACKAGES} | {OWN: "hybridopt"}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed; ours are always found."""
    found = {package: _version(package) for package in packages}
    return {package: number for package, number in found.items() if number is not None}


def _version(package: str) -> str | None:
    try:
        number: str | None = metadata.version(package)
    except metadata.PackageNotFoundError:
        number = None
    if number is None and package in MODULES:  # None, too, if the metadata have no version
        number = getattr(import_module(MODULES[package]), "__version__", "unknown")
    return number


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
