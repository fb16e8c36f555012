"""One circuit for each setting: for programs that build their own simulator circuits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from hybridopt.execution.aer.measurement import save_settings
from hybridopt.execution.aer.simulator import Load, Simulator, double
from hybridopt.execution.aer.strategies.base import Piece, grid
from hybridopt.execution.job import Job
from hybridopt.execution.sampling import Sampler

MAX_CIRCUITS_PER_CALL = 64  # more in one call gain nothing once the call overhead is shared


class OneByOne:
    """Every setting is a circuit of its own.

    Args:
        simulator: Runs them.
        max_memory: Bytes that the circuits of one call may take.
    """

    name = "one-by-one"

    def __init__(self, simulator: Simulator, max_memory: int) -> None:
        self._simulator = simulator
        self._max_memory = max_memory

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """As many settings in a call as fit."""
        settings = job.readout.settings(job.program)
        for shared, rows in grid(job, self._circuits_per_call(job)):
            loads = []
            for s, b in itertools.product(shared, rows):
                circuit = job.program.simulator_circuit(job.rows[b], job.shared[s])
                labels = save_settings(circuit, settings, ())
                loads.append(Load(circuit, len(settings)))
            data = [run[0] for run in self._simulator.submit(loads)]
            cells = (len(shared), len(rows), -1)
            tables = [np.stack([double(run[label]) for run in data]) for label in labels]
            yield Piece(shared, rows, [table.reshape(cells) for table in tables])

    def explain(self, job: Job) -> str:
        """How many circuits."""
        return f"one circuit a setting, {self._circuits_per_call(job)} or fewer a call"

    def _circuits_per_call(self, job: Job) -> int:
        return min(MAX_CIRCUITS_PER_CALL, max(1, self._max_memory // job.program.working_memory()))
