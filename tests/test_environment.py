"""Versions and machine in results."""

from __future__ import annotations

import sys
import threading
from importlib import metadata

import pytest
import torch

import hybridopt
from hybridopt._environment import PACKAGES, made_with, torch_threads, versions


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


def test_threads_restore_the_number_of_torch_threads():
    before, numbers = torch.get_num_threads(), []
    torch.set_num_threads(3)
    inside, left = threading.Event(), threading.Event()

    def note():
        numbers.append(torch.get_num_threads())

    def second():
        with torch_threads(1):
            inside.set()
            left.wait(60)
            note()
        note()

    try:
        with torch_threads(1):
            with torch_threads(2):
                note()
            note()
            thread = threading.Thread(target=second)
            thread.start()
            inside.wait(60)
        note()
        left.set()
        thread.join(60)
        new = threading.Thread(target=note)
        new.start()
        new.join(60)
    finally:
        torch.set_num_threads(before)
    assert numbers == [2, 1, 3, 1, 3, 3]
