"""What results were made with, for those who want to make them again."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch", "numpy")


def made_with() -> dict[str, Any]:
    """``versions`` of the packages that numbers follow from, and the ``machine`` in words."""
    return {
        "versions": {package: version(package) for package in PACKAGES},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
