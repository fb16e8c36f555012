"""Strategies with one run per circuit, for all methods of Aer, noise, and own circuits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridopt import _validation
from hybridopt.circuits.amplitudes import AmplitudeInput
from hybridopt.circuits.lowering import decompose
from hybridopt.circuits.program import BYTES_PER_STATE_AMPLITUDE, CircuitProgram
from hybridopt.errors import ResourceError
from hybridopt.execution.aer.simulator import RunRequest, as_double, save_settings
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, circuit_program, grid
from hybridopt.execution.aer.translation import NOT_BOUND_BY_AER, Translated, Translation
from hybridopt.execution.job import Job, Rows
from hybridopt.execution.memory_budget import ROWS_PER_CALL
from hybridopt.execution.noise import misread
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Expectations

Bindings = dict[Parameter, list[float]]  # values of each parameter
Starts = tuple[AmplitudeInput, Float64[np.ndarray, "cells amplitudes"]] | None
WIDEST_DISTRIBUTION = 20  # qubits of probabilities from a matrix product state
MAX_CIRCUITS_PER_CALL = 64  # more circuits do not reduce the overhead further


class OneByOne(Strategy):
    """Strategy with one circuit per run, for programs that build their own circuits."""

    name = "one-by-one"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run as many circuits per call as fit."""
        settings = job.readout.settings(job.program)
        for shared, rows in grid(job, self._circuits_per_call(job)):
            requests = []
            for s, b in itertools.product(shared, rows):
                circuit = job.program.simulator_circuit(job.rows[b], job.shared[s])
                labels = save_settings(circuit, settings, ())
                requests.append(RunRequest(circuit, len(settings)))
            data = [run[0] for run in self.simulator.submit(requests)]
            tables = [np.stack([as_double(run[label]) for run in data]) for label in labels]
            cells = (len(shared), len(rows), -1)
            yield PartialResult(shared, rows, [table.reshape(cells) for table in tables])

    def explain(self, job: Job) -> str:
        """Return the number of circuits in words."""
        return f"one circuit per run, {self._circuits_per_call(job)} or fewer per call"

    def _circuits_per_call(self, job: Job) -> int:
        fit = self.limits.max_memory // job.program.working_memory()
        return min(MAX_CIRCUITS_PER_CALL, max(1, fit))


@dataclass(frozen=True, eq=False)
class _Translated(Strategy):
    """Strategy for circuits in the gates of the method or of the noise."""

    what: ClassVar[str]  # runs of the strategy in words
    translation: Translation

    def explain(self, job: Job) -> str:
        """Return the runs in words."""
        return self.what


class AngleTable(_Translated):
    """Strategy with one run per sample and row of shared angles, in one table of angles."""

    name = "table"
    what = "one run per sample and row of angles, many per call"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run as many circuits per call as fit."""
        program = circuit_program(job)
        settings = job.readout.settings(program)
        translated = self.translation.of(program, settings)
        num_qubits = max(template.circuit.num_qubits for template in translated)
        if self.simulator.method == "density_matrix":
            num_qubits = self.doubled_width(translated)
        for shared, rows in grid(job, self.limits.runs_per_call(num_qubits, len(settings))):
            binds = bindings(program, job.rows[rows], job.shared[shared])
            starts = _starts(program, job.rows[rows], shared.size)
            distributions = [
                table.reshape(shared.size, rows.size, -1)
                for template in translated
                for table in self._run(template, binds, shared.size * rows.size, starts)
            ]
            yield PartialResult(shared, rows, distributions)

    def doubled_width(self, translated: Sequence[Translated]) -> int:
        """Return twice the number of qubits; raise if a density matrix of them does not fit."""
        num_qubits: int = 2 * max(template.circuit.num_qubits for template in translated)
        if BYTES_PER_STATE_AMPLITUDE << num_qubits > self.limits.max_memory:
            given = _validation.memory_text(self.limits.max_memory)
            raise ResourceError(
                f"`max_memory` must hold a density matrix of {num_qubits // 2} qubits, after "
                f"routing on the device (got {given}). Increase it, or give `shots` and "
                'method="statevector".'
            )
        return num_qubits

    def _run(
        self,
        template: Translated,
        binds: Bindings,
        cells: int,
        starts: Starts,
    ) -> list[Float64[np.ndarray, "cells _"]]:
        circuit, labels = template.saving
        mine = {key: values for key, values in binds.items() if key in circuit.parameters}
        model, settings = template.noise_model, len(template.settings)
        # truncation would make the noise depend on the measured qubits
        options: dict[str, object] = {} if model is None else {"enable_truncation": False}
        unbound = any(i.name in NOT_BOUND_BY_AER and i.is_parameterized() for i in circuit.data)
        if unbound or starts is not None:
            bound = _bound(circuit, mine, cells, starts)
            requests = [RunRequest(one, settings) for one in bound]
            runs = [run for (run,) in self.simulator.submit(requests, **options)]
        else:
            request = RunRequest(circuit, settings * (1 if mine else cells), mine)
            if model is not None:  # measured: binding at run time is slower with noise
                options["runtime_parameter_bind_enable"] = False
            (runs,) = self.simulator.submit([request], **options)
        tables = [np.stack([as_double(run[label]) for run in runs]) for label in labels]
        if not mine and starts is None:
            tables = [np.repeat(table, cells, axis=0) for table in tables]
        if model is None:
            return tables
        places = [template.places_of(setting) for setting in template.settings]
        return [misread(table, model, read) for table, read in zip(tables, places, strict=True)]


class Measured(_Translated):
    """Strategy with shots drawn by Aer, for trajectories and for too many measured qubits."""

    name = "measured"
    what = "one call per setting, in which Aer draws every shot"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run setting by setting."""
        program = circuit_program(job)
        assert sampler is not None
        circuits = [
            (template, place)
            for template in self.translation.of(program, job.readout.settings(program))
            for place in range(len(template.settings))
        ]
        for s, b in np.ndindex(len(job.shared), len(job.rows)):
            shared, rows = np.array([s]), np.array([b])
            binds = bindings(program, job.rows[rows], job.shared[shared])
            starts = _starts(program, job.rows[rows], 1)
            counts = [
                self._counts(template, place, binds, sampler.seed(s, b, number), starts)
                for number, (template, place) in enumerate(circuits)
            ]
            values, variances = (
                moment[None, None] for moment in job.readout.read_counts(program, counts)
            )
            yield PartialResult(shared, rows, values=values, variances=variances)

    def _counts(
        self,
        template: Translated,
        place: int,
        binds: Mapping[Parameter, list[float]],
        seed: int,
        starts: Starts,
    ) -> dict[int, int]:
        circuit = template.measuring(place)
        mine = {key: values for key, values in binds.items() if key in circuit.parameters}
        (circuit,) = _bound(circuit, mine, 1, starts)
        options: dict[str, object] = {"shots": self.simulator.shots, "seed_simulator": seed}
        if template.noise_model is not None:
            options["noise_model"] = template.noise_model
        ((data,),) = self.simulator.submit([RunRequest(circuit, 1)], **options)
        return {int(outcome, 16): count for outcome, count in data["counts"].items()}


class SavedExpectations(_Translated):
    """Strategy with expectation values computed by Aer, for too many measured qubits."""

    name = "saved-expectations"
    what = "one run per sample and row of angles, with expectation values from Aer"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run as many circuits per call as fit into a table."""
        program, readout = circuit_program(job), job.readout
        assert isinstance(readout, Expectations)
        settings = readout.settings(program)
        (template,) = self.translation.of(program, settings)
        circuit = template.circuit.copy()
        labels = [f"observable {k}" for k in range(len(readout.observables))]
        for label, observable in zip(labels, readout.observables, strict=True):
            circuit.save_expectation_value(observable.simplify(), circuit.qubits, label=label)
        for shared, rows in grid(job, ROWS_PER_CALL):
            cells = shared.size * rows.size
            binds = bindings(program, job.rows[rows], job.shared[shared])
            starts = _starts(program, job.rows[rows], shared.size)
            if starts is not None:
                bound = _bound(circuit, binds, cells, starts)
                requests = [RunRequest(one, len(settings)) for one in bound]
                runs = [run for (run,) in self.simulator.submit(requests)]
            else:
                request = RunRequest(circuit, len(settings) * (1 if binds else cells), binds)
                (runs,) = self.simulator.submit([request])
            values = np.array([[as_double(run[label]) for label in labels] for run in runs])
            if not binds and starts is None:
                values = np.repeat(values, cells, axis=0)
            values = values.reshape(shared.size, rows.size, -1)
            yield PartialResult(shared, rows, values=values)


def _starts(program: CircuitProgram, rows: Rows, tables: int) -> Starts:
    """Return the amplitudes of each cell, if samples bring any."""
    if program.amplitudes is None:
        return None
    return program.amplitudes, np.tile(program.amplitudes.starts(rows), (tables, 1))


def _bound(
    circuit: QuantumCircuit, binds: Mapping[Parameter, list[float]], cells: int, starts: Starts
) -> list[QuantumCircuit]:
    """Return the circuit of each cell, with its angles and its first state."""
    columns = list(zip(*binds.values(), strict=True)) or [()] * cells
    rows = [dict(zip(binds, row, strict=True)) for row in columns]
    bound = [circuit.assign_parameters(row) for row in rows]
    if starts is None:
        return bound
    started = []
    for one, amplitudes in zip(bound, starts[1], strict=True):
        start = one.copy_empty_like()
        # in gates, because Aer's `initialize` is wrong for matrix product states (0.18.2)
        for gate, qubits in decompose(starts[0].preparation(amplitudes), starts[0].qubits):
            start.append(gate, qubits)
        start.data.extend(one.data)
        started.append(start)
    return started


def bindings(
    program: CircuitProgram, rows: Float64[np.ndarray, "b R"], shared: Float64[np.ndarray, "s O"]
) -> Bindings:
    """Return the values of each parameter, for all samples of each shared row in turn."""
    _, row_parameters, shared_parameters = program.body
    row_parameters = row_parameters[program.num_amplitudes :]
    rows = rows[:, program.num_amplitudes :]
    columns = [*np.tile(rows, (len(shared), 1)).T, *np.repeat(shared, len(rows), axis=0).T]
    return {
        parameter: column.tolist()
        for parameter, column in zip([*row_parameters, *shared_parameters], columns, strict=True)
    }
