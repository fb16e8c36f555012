"""Comparison that is killed ten times, in separate processes.

Run ``python killed_study.py FOLDER SEED``. One process imports everything and is forked for each
attempt. This process must not train: threads do not survive a fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

# otherwise imported in each attempt
import matplotlib.figure  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.model_selection  # noqa: F401
import torch._dynamo  # noqa: F401

import hybridopt as ho

for name in ho.__all__:  # names are imported on first use
    getattr(ho, name)

KILLS, SEEDS = 4, 5
METHODS = ["adam", "memory(merge=epoch)+adam"]


def study_in(folder: Path) -> ho.Study:
    """Compare with shots, tuning and resampled data: everything that has a state."""
    return ho.compare(
        "mlp:4-3",
        "iris",
        methods=METHODS,
        budget="3 epochs",
        seeds=SEEDS,
        tuning=2,
        executor=ho.AerExecutor(shots=256, seed=3),
        output=folder,
    )


def start(folder: Path, result: Path) -> int:
    """Compare in a new process and return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        study_in(folder).save(result)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def kept(folder: Path) -> dict[str, Any]:
    """Return complete files, all other files, and the time of writing of each run [ns]."""
    found: dict[str, Any] = {"whole": [], "other": [], "written": {}}
    for path in folder.glob("runs/*.json"):
        found["written"][path.name] = path.stat().st_mtime_ns
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                json.loads(path.read_text())
            except ValueError:
                found["other"].append(path.name)
            else:
                found["whole"].append(path.name)
    return found


def main(folder: Path, seed: int) -> None:
    """Kill ten attempts, let the last one end, and print a report."""
    dice, killed, found = random.Random(seed), folder / "killed", []
    began = time.perf_counter()
    os.waitpid(start(folder / "whole", folder / "whole.json"), 0)
    moments = (time.perf_counter() - began) / 8  # ten attempts do about half of the work
    for _ in range(KILLS):
        process = start(killed, folder / "killed.json")
        time.sleep(dice.uniform(0, moments))
        alive = os.waitpid(process, os.WNOHANG)[0] == 0
        if alive:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        found.append({"killed": alive, **kept(killed)})
    _, status = os.waitpid(start(killed, folder / "killed.json"), 0)
    found.append({"killed": False, **kept(killed)})
    sys.stdout.write(json.dumps({"attempts": found, "status": status}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
