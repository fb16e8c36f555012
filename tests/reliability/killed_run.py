"""Training run that is killed ten times, in separate processes.

Run ``python killed_run.py FOLDER SEED``. One process imports everything and is forked for each
attempt, so that ten attempts share one import. This process must not train: threads do not
survive a fork.
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

import torch
import torch._dynamo  # otherwise imported by the first step of each attempt
from torch import nn

import hybridopt as ho
from hybridopt.data import Dataset, Part

for name in ho.__all__:  # names are imported on first use
    getattr(ho, name)

KILLS, EPOCHS = 4, 60


def train(checkpoint: Path | None, result: Path) -> None:
    """Train with dropout, shots, a schedule and folds: everything that has a state."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 3, generator=generator)
    y = (x @ torch.randn(3, 3, generator=generator)).argmax(1)
    data = Dataset("tiny", "classification", Part(x[:18], y[:18]), Part(x[18:], y[18:]), 3)
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 3))
    quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=512, seed=3), merge="epoch")
    history = ho.fit(
        quantum, data, epochs=EPOCHS, batch_size=9, lr=0.05, scheduler="cosine",
        checkpoint=checkpoint,
    )  # fmt: skip
    state = {
        "network": quantum.state_dict(),
        "executor": quantum.executor.state_dict(),
        "losses": history.train_loss,
        "test_losses": history.test_loss,
        "rates": history.lr,
        "shots": history.shots,
    }
    torch.save(state, result)


def start(checkpoint: Path | None, result: Path) -> int:
    """Train in a new process and return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        train(checkpoint, result)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def wait_for_epochs(checkpoint: Path, epochs: int, process: int) -> bool:
    """Wait for ``epochs`` writes of the file; return False if the process ended before."""
    written = None
    while epochs > 0:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        state = checkpoint.stat().st_ino if checkpoint.exists() else None
        if state != written:
            written, epochs = state, epochs - 1
        time.sleep(0.001)
    return True


def main(folder: Path, seed: int) -> None:
    """Kill ten attempts, let the last one end, and print a report."""
    dice = random.Random(seed)
    checkpoint, found = folder / "killed" / "run.pt", []
    checkpoint.parent.mkdir()
    os.waitpid(start(None, folder / "whole.pt"), 0)
    for _ in range(KILLS):
        process = start(checkpoint, folder / "killed.pt")
        # the first write found is that of the previous attempt
        alive = wait_for_epochs(checkpoint, dice.randrange(1, 4), process)
        time.sleep(dice.uniform(0, 0.03))  # about the time of one epoch
        if alive:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        files = {path.name: path for path in checkpoint.parent.iterdir()}
        states = {name: torch.load(path, weights_only=True) for name, path in files.items()}
        epochs = {name: len(state["history"]["records"]) for name, state in states.items()}
        found.append({"killed": alive, "epochs": epochs})
    _, status = os.waitpid(start(checkpoint, folder / "killed.pt"), 0)
    sys.stdout.write(json.dumps({"attempts": found, "status": status}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
