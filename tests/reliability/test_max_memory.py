"""Peak memory of all kinds of jobs at the smallest `max_memory` that is accepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.measured_memory import CASES

SLACK = 3_000_000  # bytes of circuits and of Python's own objects


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_jobs_stay_within_max_memory():
    script = Path(__file__).with_name("measured_memory.py")
    # freed arrays go back to the system, so that the next case starts without them
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [name for name, *_ in found] == list(CASES)
    for name, num_qubits, memory, peak, refusal in found:
        assert peak <= memory + SLACK, (name, num_qubits, memory, peak)
        assert "`max_memory`" in refusal
