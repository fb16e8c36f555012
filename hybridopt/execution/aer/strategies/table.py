"""One circuit, and a table with the angles of every setting: works with every method of Aer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import ResourceError
from hybridopt.execution.aer.simulator import Load, Simulator, double
from hybridopt.execution.aer.strategies.base import Piece, grid
from hybridopt.execution.aer.translation import NOT_BOUND_BY_AER, Templates, Translated
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import BYTES_PER_AMPLITUDE, Limits
from hybridopt.execution.noise import misread
from hybridopt.execution.sampling import Sampler


class Table:
    """Every sample and every row of shared angles is a run of its own.

    Args:
        simulator: Runs the circuits.
        limits: Size of the pieces.
        templates: Circuits in the gates of the method, or those that the noise acts on.
    """

    name = "table"

    def __init__(
        self,
        simulator: Simulator,
        limits: Limits,
        templates: Templates,
    ) -> None:
        self._simulator = simulator
        self._limits = limits
        self._templates = templates

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """As many settings in a call as fit."""
        program = job.program
        assert isinstance(program, CircuitProgram)
        translated = self._templates.of(program, job.readout.settings(program))
        matrix = 2 if self._simulator.method == "density_matrix" else 1
        widest = max(template.circuit.num_qubits for template in translated)
        if matrix == 2:
            self._check_placed(widest, program.num_qubits)
        for shared, rows in grid(
            job, self._limits.runs_per_call(matrix * widest, len(job.readout.settings(program)))
        ):
            binds = bindings(program, job.rows[rows], job.shared[shared])
            cells = (len(shared), len(rows))
            distributions = [
                table.reshape(*cells, -1)
                for template in translated
                for table in self._run(template, binds, shared.size * rows.size)
            ]
            yield Piece(shared, rows, distributions)

    def explain(self, job: Job) -> str:
        """The kind of table."""
        return "a run for each sample and each row of angles, many in one call"

    def _check_placed(self, num_used: int, num_qubits: int) -> None:
        if BYTES_PER_AMPLITUDE << 2 * num_used > self._limits.max_memory:
            raise ResourceError(
                f"Routed on the device, the circuit of {num_qubits} qubits takes {num_used}, whose "
                f"density matrix does not fit into `max_memory`, "
                f"{self._limits.max_memory / 1e9:.3g} GB. Raise it, or give `shots` and "
                'method="statevector".'
            )

    def _run(
        self, template: Translated, binds: dict[Parameter, list[float]], cells: int
    ) -> list[Float64[np.ndarray, "cells _"]]:
        circuit, labels = template.saving
        mine = {key: values for key, values in binds.items() if key in circuit.parameters}
        options: dict[str, object] = {}
        if template.noise_model is not None:
            options = {
                "enable_truncation": False,  # the same sum of channels whatever is read
                "runtime_parameter_bind_enable": False,  # measured: slower with noise
            }
        settings = len(template.settings)
        if mine and _has_angles_that_aer_does_not_bind(circuit):
            rows = [dict(zip(mine, row, strict=True)) for row in zip(*mine.values(), strict=True)]
            loads = [Load(circuit.assign_parameters(row), settings) for row in rows]
            options.pop("runtime_parameter_bind_enable", None)
            runs = [run for (run,) in self._simulator.submit(loads, **options)]
        else:
            load = Load(circuit, settings * (1 if mine else cells), mine or None)
            (runs,) = self._simulator.submit([load], **options)
        tables = [np.stack([double(run[label]) for run in runs]) for label in labels]
        if not mine:
            tables = [np.repeat(table, cells, axis=0) for table in tables]
        model = template.noise_model
        if model is None:
            return tables
        places = [template.places_of(setting) for setting in template.settings]
        return [misread(table, model, read) for table, read in zip(tables, places, strict=True)]


def _has_angles_that_aer_does_not_bind(circuit: QuantumCircuit) -> bool:
    return any(
        item.operation.name in NOT_BOUND_BY_AER
        and any(isinstance(value, ParameterExpression) for value in item.operation.params)
        for item in circuit.data
    )


def bindings(
    program: CircuitProgram,
    rows: Float64[np.ndarray, "b R"],
    shared: Float64[np.ndarray, "s O"],
) -> dict[Parameter, list[float]]:
    """Values of every parameter of the template, row of shared angles by row, sample by sample."""
    _, row_parameters, shared_parameters = program.template
    for_rows = np.tile(rows, (len(shared), 1)).T.tolist()
    for_shared = np.repeat(shared, len(rows), axis=0).T.tolist()
    return {
        **dict(zip(row_parameters, for_rows, strict=True)),
        **dict(zip(shared_parameters, for_shared, strict=True)),
    }
