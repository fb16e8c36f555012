"""Strategy for exact expectation values on a GPU, and the rule that selects strategies there.

A GPU is fast while numbers stay on it. Without noise, state vectors follow this rule:

1. Exact expectation values are computed by Aer on the GPU, and only these numbers are copied. Every
   sample and row of angles is a run of its own; Aer runs tables of up to 16 qubits as batches.
2. Sums of many Pauli strings are read from one copy of each state, because each string is one pass
   over the state.
3. Probabilities, shots, amplitudes as inputs, and jobs of very many narrow runs use stacks of up to
   2^24 amplitudes, of which one state per measurement basis is copied.

Checkpoints are never selected, because they copy states to the machine and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import CXGate, RZGate

from hybridopt.circuits.program import BYTES_PER_STATE_AMPLITUDE, CircuitProgram
from hybridopt.circuits.steps import FixedGate, Rotation
from hybridopt.execution.aer.simulator import RunRequest, as_double
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy, circuit_program, grid
from hybridopt.execution.aer.strategies.saved_states import SavedStates
from hybridopt.execution.aer.strategies.stacked import Stacked
from hybridopt.execution.job import Job, Rows, Shared
from hybridopt.execution.memory_budget import ROWS_PER_CALL
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Expectations, Readout

QUBITS_OF_WIDE_RUNS = 10  # narrower runs take less time side by side, if there are very many
STRINGS_ON_THE_GPU = 1000  # estimate: their passes take as long as a copy that numpy reads
TWO_QUBIT_ROTATIONS = frozenset({"rxx", "ryy", "rzx", "rzz"})


class ExpectationsOnGpu(Strategy):
    """Strategy with one run per sample and row of angles, whose expectation values Aer computes."""

    name = "gpu-expectations"

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run as many circuits per call as fit into the memory of the GPU."""
        circuit = gpu_circuit(circuit_program(job), job.readout)
        for shared, rows in grid(job, self._runs_per_call(job)):
            binds = circuit.bind(job.rows[rows], job.shared[shared])
            cells = shared.size * rows.size
            request = RunRequest(circuit.circuit, 1 if binds else cells, binds, job.readout)
            (runs,) = self.simulator.submit([request])
            values = np.array([[as_double(run[label]) for label in circuit.labels] for run in runs])
            values = np.broadcast_to(values, (cells, len(circuit.labels)))
            yield PartialResult(shared, rows, values=values.reshape(shared.size, rows.size, -1))

    def explain(self, job: Job) -> str:
        """Return the number of runs in words."""
        return (
            f"one run per sample and row of angles, {self._runs_per_call(job)} or fewer per call, "
            "with expectation values from Aer"
        )

    def _runs_per_call(self, job: Job) -> int:
        fit = self.limits.max_memory // 2 // (BYTES_PER_STATE_AMPLITUDE << job.program.num_qubits)
        return max(1, min(ROWS_PER_CALL, fit))


def fastest_on_gpu(job: Job, shots: int | None, reads_states: bool) -> tuple[type[Strategy], str]:
    """Return the strategy for state vectors by the rule of this module, and the reason.

    Args:
        job: Job without noise, in gates that may be stacked.
        shots: Number of shots per setting; None for exact values.
        reads_states: Whether saved states fit, and are read faster than many settings.
    """
    if shots is None and _computes_expectations(job):
        return ExpectationsOnGpu, "only expectation values leave the GPU"
    if reads_states:
        return SavedStates, "one state is read faster than many settings"
    return Stacked, "one wide state is faster on a GPU than many narrow ones"


def _computes_expectations(job: Job) -> bool:
    program, readout = circuit_program(job), job.readout
    if (
        not isinstance(readout, Expectations)
        or not readout.is_whole
        or program.amplitudes is not None
    ):
        return False
    wide = program.num_qubits >= QUBITS_OF_WIDE_RUNS
    few = len(job.shared) * len(job.rows) <= ROWS_PER_CALL
    return (wide or few) and len(readout.strings) <= STRINGS_ON_THE_GPU


@dataclass(frozen=True, eq=False)
class GpuCircuit:
    """Circuit with a parameter for every angle, in gates that Aer binds in batches."""

    circuit: QuantumCircuit
    labels: list[str]  # of expectation values
    angles: dict[Parameter, Rotation]

    def bind(self, rows: Rows, shared: Shared) -> dict[Parameter, list[float]]:
        """Return the values of each parameter, for all samples of each shared row in turn."""
        tables: dict[bool, Float64[np.ndarray, "cells A"]] = {
            True: np.tile(rows, (len(shared), 1)),
            False: np.repeat(shared, len(rows), axis=0),
        }
        return {p: tables[r.per_sample][:, r.angle].tolist() for p, r in self.angles.items()}


def gpu_circuit(program: CircuitProgram, readout: Readout) -> GpuCircuit:
    """Return the circuit of a program and a readout, made once."""
    made = program.derived(("gpu circuits",), WeakKeyDictionary[Readout, GpuCircuit])
    if readout not in made:
        made[readout] = _build(program, readout)
    return made[readout]


def _build(program: CircuitProgram, readout: Readout) -> GpuCircuit:
    assert isinstance(readout, Expectations)
    circuit = QuantumCircuit(program.num_qubits)
    angles: dict[Parameter, Rotation] = {}
    for layer in program.layers:
        items = list(layer.fixed)
        for rotation in layer.rotations:
            parameter = Parameter(f"angle {len(angles)}")
            angles[parameter] = rotation
            items += _in_batches(rotation, parameter)
        for item in items:
            circuit.append(item.gate, item.qubits, copy=False)
    labels = [f"observable {k}" for k in range(len(readout.observables))]
    for label, observable in zip(labels, readout.observables, strict=True):
        circuit.save_expectation_value(observable.simplify(), circuit.qubits, label=label)
    return GpuCircuit(circuit, labels, angles)


def _in_batches(rotation: Rotation, parameter: Parameter) -> list[FixedGate]:
    """Return the gates of a rotation; those on two qubits become CX, RZ and CX in their frames."""
    family = rotation.family
    if family.name not in TWO_QUBIT_ROTATIONS:
        return rotation.gates(parameter)
    parity = ((CXGate(), (0, 1)), (RZGate(parameter), (1,)), (CXGate(), (0, 1)))
    return rotation.placed((*family.into_frame, *parity, *family.out_of_frame))
