"""Versions and machine of a result, and the number of torch threads."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass
class _TorchThreads:
    """Python threads in a block of `torch_threads`, and the number before the first block."""

    inside: list[int] = field(default_factory=list)
    before: int = 0
    changing: threading.Lock = field(default_factory=threading.Lock)


_blocks = _TorchThreads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of torch threads in the block; one thread is fastest for small tensors.

    Torch keeps one number per Python thread, and a new thread has the number that was set last.
    Blocks of several threads therefore restore the number before the first of them.
    """
    me = threading.get_ident()
    with _blocks.changing:
        own = torch.get_num_threads()
        if not _blocks.inside:
            _blocks.before = own
        before = own if me in _blocks.inside else _blocks.before
        _blocks.inside.append(me)
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _blocks.changing:
            _blocks.inside.remove(me)
            torch.set_num_threads(before)
