"""Training on a service with a journal, killed at one place, in this or in its own process.

Run as a script: ``python journaled_training.py FOLDER SAMPLER [PLACE]``. With a place, the process
kills itself there with SIGKILL. Otherwise the last line is a JSON object with the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import hybridopt as ho
from hybridopt.execution.primitive import journal
from tests.execution.primitive import service as services

STEPS = 3


class Killed(BaseException):
    """End of the process, in tests that run in one process."""


@dataclass
class Outcome:
    """Final weights, jobs paid at the service, cost, and number of places to be killed at."""

    weights: list[float]
    paid: int
    cost: ho.Cost
    places: int


@dataclass
class Places:
    """Counts the places before and after each write and each accepted job."""

    die_at: int | None
    kill: Callable[[], None]
    passed: int = 0

    def next(self) -> None:
        self.passed += 1
        if self.passed == self.die_at:
            self.kill()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.next()
            value = function(*args, **kwargs)
            self.next()
            return value

        return wrapped


@contextmanager
def counted_places(places: Places):
    with (
        mock.patch.object(journal, "write_text", places.around(journal.write_text)),
        mock.patch.object(journal, "write_whole", places.around(journal.write_whole)),
        mock.patch.object(services.Service, "accept", places.around(services.Service.accept)),
    ):
        yield


def _die() -> None:
    raise Killed


def train(
    folder: Path, sampler: str, die_at: int | None = None, kill: Callable[[], None] = _die
) -> Outcome:
    """Train a layer for a few steps; the same script starts and continues."""
    service = services.Service(folder / "service")
    places = Places(die_at, kill)
    w, x = ParameterVector("w", 3), ParameterVector("x", 1)
    circuit = QuantumCircuit(3)
    circuit.ry(x[0], 0)
    circuit.ry(w[0], 0)
    circuit.cx(0, 1)
    circuit.rx(w[1], 1)
    circuit.cx(1, 2)
    circuit.ry(w[2], 2)
    with counted_places(places):
        executor = ho.PrimitiveExecutor(
            getattr(services, sampler)(service), shots=20, max_rows=12, seed=1,
            journal=folder / "journal", retrieve=service.job,
        )  # fmt: skip
        layer = ho.CircuitLayer(circuit, x, w, ["ZZI", "IXZ"], executor, initial=[0.1, 0.2, 0.3])
        optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        samples = torch.linspace(-1, 1, 2)[:, None]
        for _ in range(STEPS):
            optimizer.zero_grad()
            layer(samples).square().sum().backward()
            optimizer.step()
    weights = layer.weight.detach().tolist()
    return Outcome(weights, service.paid, executor.usage, places.passed)


def main(folder: str, sampler: str, *place: str) -> None:
    torch.set_num_threads(1)
    outcome = train(
        Path(folder),
        sampler,
        *map(int, place),
        kill=lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
    sys.stdout.write(json.dumps([outcome.weights, outcome.paid, outcome.places]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
