"""Versions and machine in results."""

from __future__ import annotations

import sys
import threading

import torch

from hybridopt._environment import made_with, torch_threads, versions


def test_versions_are_the_imported_ones():
    found = made_with()
    torch_version = found["versions"]["torch"]
    assert torch_version.partition("+")[0] == torch.__version__.partition("+")[0]
    assert list(versions(("numpy", "no-such-package"))) == ["numpy"]
    assert found["machine"].endswith(f"Python {sys.version.split()[0]}")


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
