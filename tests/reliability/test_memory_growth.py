"""Memory does not grow during hundreds of gradient steps."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from .long_training import STEPS, WINDOW

SCRIPT = Path(__file__).with_name("long_training.py")
CHOSEN = ("fit", "memory", "mesh", "generator", "parameter-shift", "adjoint")  # the others: by hand
OBJECTS = 2  # per window; fit keeps one record per epoch, two per window
BYTES = WINDOW * 1024  # a table of angles or a state takes more than 1 kB


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *CHOSEN],
        check=False, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == list(CHOSEN)
    for way, accounts in found.items():
        assert len(accounts) == STEPS // WINDOW
        growths = [np.subtract(after, before) for before, after in pairwise(accounts)]
        # a heap grows now and then, by about 1 MB; a leak grows in each window
        objects, resident = np.min(growths, axis=0)
        assert objects <= OBJECTS, way
        assert resident < BYTES, way
