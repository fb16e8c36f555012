"""Expectation values computed inside Aer: for registers too wide for probabilities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Load, Simulator, double
from hybridopt.execution.aer.strategies.base import Piece, grid
from hybridopt.execution.aer.strategies.table import bindings
from hybridopt.execution.aer.translation import Templates
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import Expectations
from hybridopt.execution.sampling import Sampler


class SavedExpectations:
    """One instruction for each observable; matrix product states never become long vectors.

    Args:
        simulator: Runs the circuits.
        limits: Size of the pieces.
        templates: Circuits in the gates of the method.
    """

    name = "saved-expectations"

    def __init__(self, simulator: Simulator, limits: Limits, templates: Templates) -> None:
        self._simulator = simulator
        self._limits = limits
        self._templates = templates

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """As many settings in a call as a table has rows."""
        program, readout = job.program, job.readout
        assert isinstance(program, CircuitProgram)
        assert isinstance(readout, Expectations)
        settings = readout.settings(program)
        (template,) = self._templates.of(program, settings)
        circuit = template.circuit.copy()
        labels = [f"observable {k}" for k in range(len(readout.observables))]
        for label, observable in zip(labels, readout.observables, strict=True):
            circuit.save_expectation_value(observable.simplify(), circuit.qubits, label=label)
        for shared, rows in grid(job, self._limits.rows_per_call):
            cells = shared.size * rows.size
            binds = bindings(program, job.rows[rows], job.shared[shared]) or None
            load = Load(circuit, len(settings) * (1 if binds else cells), binds)
            (runs,) = self._simulator.submit([load])
            values = np.array([[double(run[label]) for label in labels] for run in runs])
            if not binds:
                values = np.repeat(values, cells, axis=0)
            yield Piece(shared, rows, values=values.reshape(shared.size, rows.size, -1))

    def explain(self, job: Job) -> str:
        """The kind of readout."""
        return "a run for each sample and each row of angles, expectation values taken inside Aer"
