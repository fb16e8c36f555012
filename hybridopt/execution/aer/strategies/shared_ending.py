r"""Strategy for exact noise in which all samples share the gates behind their last angle.

An output is :math:`\mathrm{Tr}(O \, \mathcal E(\rho_b))` with the beginning of the circuit in
:math:`\rho_b` and its ending :math:`\mathcal E`. The ending has no angle of a sample. Aer takes the
observable back through it once, as the matrix :math:`\mathcal E^\dagger(O)`, for all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex128
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Gate, Instruction, Parameter
from qiskit.quantum_info import SuperOp

from hybridopt.circuits.instructions import NOT_GATES, qubits_of
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.density_adjoint.effects import MeasuredReadout, MeasuredSetting
from hybridopt.execution.aer.density_adjoint.pauli_transfer import dense_observables
from hybridopt.execution.aer.density_adjoint.reading import (
    can_split_errors,
    common_circuit,
    measurements,
)
from hybridopt.execution.aer.density_adjoint.transfer_circuit import reached_from
from hybridopt.execution.aer.simulator import RunRequest, as_double
from hybridopt.execution.aer.strategies.base import PartialResult, chunks, circuit_program
from hybridopt.execution.aer.strategies.per_setting import AngleTable, Bindings, bindings
from hybridopt.execution.aer.translation import NOT_BOUND_BY_AER, Translated
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import BYTES_PER_COMPLEX
from hybridopt.execution.random_stream import Sampler

LABEL = "density matrix"
COPIES_OF_OBSERVABLES = 6  # per output: dense, in its circuit, in Aer and its result, in numpy
COPIES_OF_STATES = 8
GATES_PER_RUN = 30  # measured at 4 qubits: a run without gates takes as long as 30 gates
GAIN = 1.5  # least ratio of the times, as a matrix takes longer to save than probabilities


@dataclass(frozen=True, eq=False)
class Halves:
    """Noisy circuit up to the last angle of a sample on each qubit, and the rest backwards."""

    beginning: QuantumCircuit
    reversed_ending: QuantumCircuit  # adjoint gates and channels, the last one first
    measured: tuple[MeasuredSetting, ...]
    row_parameters: frozenset[Parameter]

    @cached_property
    def is_bound_by_aer(self) -> bool:
        """Whether Aer can bind all angles in a table."""
        return not any(
            item.name in NOT_BOUND_BY_AER and item.is_parameterized()
            for part in (self.beginning, self.reversed_ending)
            for item in part.data
        )

    @cached_property
    def begins_alike(self) -> bool:
        """Whether the beginning does not depend on shared angles."""
        return self.row_parameters.issuperset(self.beginning.parameters)

    def back_from(self, observable: Complex128[np.ndarray, "dim dim"]) -> QuantumCircuit:
        """Return the circuit that takes an observable back to the end of the beginning."""
        count = self.beginning.num_qubits
        circuit = self.reversed_ending.copy_empty_like()
        # Qiskit's own instruction refuses matrices that are not states
        start = Instruction("set_density_matrix", count, 0, [observable])
        circuit.append(start, range(count), copy=False)
        circuit.data.extend(self.reversed_ending.data)
        circuit.save_density_matrix(label=LABEL)
        return circuit


def halves(program: CircuitProgram, translated: Sequence[Translated]) -> Halves:
    """Return the circuit of all settings in two parts."""
    circuit, row_parameters = common_circuit(translated), frozenset(program.body.rows)
    items = [item for item in circuit.data if item.operation.name not in NOT_GATES]
    places = [qubits_of(circuit, item) for item in items]
    marked = [not row_parameters.isdisjoint(_parameters(item)) for item in items]
    first, last = reached_from(range(len(items))[::-1], places, marked)
    beginning, ending = circuit.copy_empty_like(), circuit.copy_empty_like()
    for number in reversed(first):
        beginning.append(items[number].operation, items[number].qubits, copy=False)
    beginning.save_density_matrix(label=LABEL)
    for number in last:
        ending.append(_adjoint(items[number].operation), items[number].qubits, copy=False)
    return Halves(beginning, ending, measurements(translated), row_parameters)


@dataclass(frozen=True, eq=False)
class SharedEnding(AngleTable):
    """Strategy with one run per sample up to its last angle, and one run back per output."""

    name = "shared-ending"
    what = (
        "one run per sample up to its last angle, and one run back per output and row of shared "
        "angles, in which an observable passes the gates that all samples share"
    )

    def is_faster(self, job: Job) -> bool:
        """Return whether the runs take less time than those of a table."""
        program, outputs = circuit_program(job), job.readout.num_outputs(job.program)
        if program.amplitudes is not None or len(job.rows) <= outputs:
            return False
        translated = self.translation.of(program, job.readout.settings(program))
        matrices = COPIES_OF_OBSERVABLES * outputs + COPIES_OF_STATES
        needed = matrices * BYTES_PER_COMPLEX << self.doubled_width(translated)
        if needed > self.limits.max_memory or not can_split_errors(translated):
            return False
        parts = self._halves(job)
        begin = len(parts.beginning.data) + GATES_PER_RUN
        end = len(parts.reversed_ending.data) + GATES_PER_RUN
        tables = 1 if parts.begins_alike else len(job.shared)
        split = len(job.rows) * tables * begin + len(job.shared) * outputs * end
        runs = len(job.shared) * len(job.rows) * len(parts.measured)
        whole = runs * (begin + end - GATES_PER_RUN)
        return parts.is_bound_by_aer and whole >= GAIN * split

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run beginnings, and endings backwards, as many per call as fit."""
        program, parts = circuit_program(job), self._halves(job)
        width = self.doubled_width(self.translation.of(program, job.readout.settings(program)))
        readout = MeasuredReadout(program, job.readout, parts.measured, width // 2)
        outputs = readout.num_outputs
        observables = dense_observables(readout.observables(np.eye(outputs)), width // 2)
        endings = [parts.back_from(one) for one in observables]
        size = self.limits.runs_per_call(width)
        for rows in chunks(len(job.rows), size):
            samples = job.rows[rows]
            settings = len(parts.measured) * (len(job.shared) if parts.begins_alike else 1)
            for part in chunks(len(job.shared), max(1, size // max(outputs, len(rows)))):
                shared = job.shared[part]
                if part[0] == 0 or not parts.begins_alike:
                    tables = shared[: 1 if parts.begins_alike else None]
                    binds = bindings(program, samples, tables)
                    (states,) = self._saved([parts.beginning], binds, settings)
                    states = states.reshape(len(tables), len(rows), -1)
                passed = self._saved(endings, bindings(program, samples[:1], shared), 0)
                each = [np.broadcast_to(one, (len(part), one.shape[1])) for one in passed]
                # Tr(O rho), with rho Hermitian
                values = np.matmul(states.conj(), np.stack(each, axis=-1)).real
                yield PartialResult(part, rows, values=values + readout.constants())

    def _halves(self, job: Job) -> Halves:
        program = circuit_program(job)
        return self.translation.derived(program, job.readout.settings(program), halves)

    def _saved(
        self, circuits: Sequence[QuantumCircuit], binds: Bindings, settings: int
    ) -> list[Complex128[np.ndarray, "runs _"]]:
        """Return the saved matrices of each circuit, one per row of its table."""
        requests = []
        for circuit in circuits:
            mine = {key: values for key, values in binds.items() if key in circuit.parameters}
            requests.append(RunRequest(circuit, settings, mine))
        saved = self.simulator.submit(
            requests,
            enable_truncation=False,
            fusion_enable=False,
            runtime_parameter_bind_enable=False,
        )
        return [np.stack([as_double(run[LABEL]).ravel() for run in runs]) for runs in saved]


def _parameters(item: CircuitInstruction) -> set[Parameter]:
    """Return the parameters of an instruction."""
    values = item.operation.params if item.is_parameterized() else ()
    return {one for value in values for one in getattr(value, "parameters", ())}


def _adjoint(operation: Instruction) -> Instruction:
    """Return the adjoint map of a gate or of a channel."""
    if operation.name == "superop":
        return Instruction("superop", operation.num_qubits, 0, [operation.params[0].conj().T])
    if isinstance(operation, Gate):
        return operation.inverse()
    return Instruction("superop", operation.num_qubits, 0, [SuperOp(operation).adjoint().data])
