"""Versions and machine in results."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest
import torch

import hybridopt
from hybridopt._environment import PACKAGES, made_with, versions


def test_versions_are_the_imported_ones():
    found = made_with()
    torch_version = found["versions"]["torch"]
    assert torch_version.partition("+")[0] == torch.__version__.partition("+")[0]
    assert list(versions(("numpy", "no-such-package"))) == ["numpy"]
    assert found["machine"].endswith(f"Python {sys.version.split()[0]}")


def without_package(name):
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("missing", [without_package, lambda name: None])
def test_a_checkout_without_metadata_has_versions(missing, monkeypatch):
    expected = versions(PACKAGES)
    monkeypatch.setattr(metadata, "version", missing)
    found = versions((*PACKAGES, "no-such-package"))
    assert list(found) == list(PACKAGES)
    assert found["hybridopt-qiskit"] == hybridopt.__version__
    assert {name: found[name].partition("+")[0] for name in found} == {
        name: expected[name].partition("+")[0] for name in found
    }
