"""Writers of files that are killed at random moments, in separate processes.

Run ``python killed_files.py FOLDER SEED``. One process imports everything and is forked for each
attempt. This process must not train: threads do not survive a fork.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # otherwise imported in each attempt
from qiskit import qpy
from torch import nn

import hybridopt as ho
from hybridopt.cli.convert import command as convert

for name in ho.__all__:  # names are imported on first use
    getattr(ho, name)

KILLS = 5


def network(width: int) -> nn.Module:
    """Return a network whose file takes some milliseconds."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Linear(width, 2))


def save_again(folder: Path) -> None:
    """Save two networks in turn under one name."""
    networks = [ho.to_quantum(network(width)) for width in (600, 200)]
    while True:
        for one in networks:
            ho.save(one, folder / "network.ho")


def convert_again(folder: Path) -> None:
    """Convert a state_dict to three files."""
    files = {"to": folder / "converted.ho", "qpy": folder / "c.qpy", "qasm": folder / "c.qasm"}
    while True:
        convert(folder.parent / "start.pt", network="mlp:8-16-2", **files)


def read(path: Path) -> None:
    """Raise an error if a file is not complete."""
    if path.suffix == ".ho":
        ho.load(path)
    elif path.suffix == ".qpy":
        qpy.load(io.BytesIO(path.read_bytes()))
    else:
        ho.load_circuit(path)


def start(write: Callable[[Path], None], folder: Path) -> int:
    """Write in a new process and return its id."""
    process = os.fork()
    if process:
        return process
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        write(folder)
    finally:
        traceback.print_exc()
        os._exit(1)


def main(folder: Path, seed: int) -> None:
    """Kill the writers, and print the complete files and the others."""
    dice, found = random.Random(seed), {}
    torch.save(network(16).state_dict(), folder / "start.pt")
    for write in (save_again, convert_again):
        place = folder / write.__name__
        place.mkdir()
        whole, other, statuses = set(), set(), set()
        for attempt in range(KILLS):
            process = start(write, place)
            end = time.monotonic() + 30
            while not attempt and not list(place.glob("n*.ho")) + list(place.glob("c.qasm")):
                assert time.monotonic() < end, "nothing was written"
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.3))
            os.kill(process, signal.SIGKILL)
            statuses.add(os.waitpid(process, 0)[1])
            for path in place.iterdir():
                try:
                    read(path)
                except Exception as error:  # noqa: BLE001  # the test shows it
                    other.add(f"{path.name}: {error}")
                else:
                    whole.add(path.name)
        found[write.__name__] = [sorted(whole), sorted(other), sorted(statuses)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
