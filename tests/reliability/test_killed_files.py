"""A process that is killed while it writes leaves complete files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_files.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, a hidden file may be left")
def test_killed_writers_leave_complete_files(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "3"],
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    converted = ["c.qasm", "c.qpy", "converted.ho"]
    assert json.loads(done.stdout) == {
        "save_again": [["network.ho"], [], [signal.SIGKILL]],
        "convert_again": [converted, [], [signal.SIGKILL]],
    }
