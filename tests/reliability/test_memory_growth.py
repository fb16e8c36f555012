"""Two thousand gradient steps take no more memory than the first five hundred."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .long_training import STEPS, WARM

SCRIPT = Path(__file__).with_name("long_training.py")
CHOSEN = ("memory", "parameter-shift with shots", "adjoint", "fit")  # all ways: by hand, a minute
# one object kept by every hundredth step
OBJECTS = (STEPS - WARM) // 100
# a table of angles or a state takes more than 1 kB: kept by each step it would be 1.5 MB
BYTES = (STEPS - WARM) * 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_steps_leave_nothing_behind():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *CHOSEN],
        check=False, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == list(CHOSEN)
    for way, ((objects, resident), (objects_then, resident_then)) in found.items():
        assert objects_then - objects <= OBJECTS, way
        assert resident_then - resident < BYTES, way
