"""Versions and machine in results."""

from __future__ import annotations

import sys

import torch

from hybridopt._environment import made_with, versions


def test_versions_are_the_imported_ones():
    found = made_with()
    torch_version = found["versions"]["torch"]
    assert torch_version.partition("+")[0] == torch.__version__.partition("+")[0]
    assert list(versions(("numpy", "no-such-package"))) == ["numpy"]
    assert found["machine"].endswith(f"Python {sys.version.split()[0]}")
