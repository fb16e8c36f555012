"""Aer: run requests, the account of what ran, and the instructions that save what is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aerbackend import AerBackend

from hybridopt.errors import ExecutionError
from hybridopt.execution.executor import Cost
from hybridopt.execution.readout import Setting

# Measured: fused matrices cost more than our gates, and waking threads more than a small call.
# Threads that share one run wait for each other after every gate: on a busy machine that takes
# longer than the gate itself up to about 2^17 amplitudes.
AMPLITUDES_OF_SMALL_TABLES = 1 << 13
AMPLITUDES_OF_SMALL_RUNS = 1 << 16
QUBITS_WORTH_FUSING = 15  # on three qubits or more, measured

Data = dict[str, Any]  # what one run saved, by label


@dataclass(frozen=True, eq=False)
class RunRequest:
    """A circuit to run, once or with a table of angles."""

    circuit: QuantumCircuit
    settings: int  # that one run of it stands for
    binds: Mapping[Parameter, list[float]] | None = None  # values of its parameters, one a run

    @property
    def runs(self) -> int:
        """Length of the table."""
        return 1 if not self.binds else len(next(iter(self.binds.values())))


@dataclass
class Simulator:
    """The one place where circuits reach Aer, and where they are counted."""

    method: str
    device: str
    precision: str
    shots: int | None  # per setting, for the account
    usage: Cost = field(default_factory=Cost)
    backend: AerBackend | None = None

    def submit(self, requests: Sequence[RunRequest], **options: object) -> list[list[Data]]:
        """Return what each run of each request saved; all requests have tables, or none."""
        circuits = [request.circuit for request in requests]
        if any(request.binds for request in requests):
            options["parameter_binds"] = [dict(request.binds or {}) for request in requests]
            options.setdefault("runtime_parameter_bind_enable", True)
        if self.backend is None:
            of = {"method": self.method, "device": self.device, "precision": self.precision}
            self.backend = AerSimulator(**of)
        try:
            result = self.backend.run(circuits, **options).result()
        except RuntimeError as error:  # of Aer's own, such as a failed decomposition of Kraus maps
            raise ExecutionError(f"Aer could not run the circuits: {error}") from error
        if not result.success:
            raise ExecutionError(f"Aer could not run the circuits: {result.status}")
        runs = sum(request.runs for request in requests)
        if len(result.results) != runs:
            raise ExecutionError(f"Aer ran {len(result.results)} circuits where {runs} were given.")
        settings = sum(request.settings * request.runs for request in requests)
        self.usage += Cost(settings, settings * (self.shots or 0), runs)
        every = iter(range(runs))
        return [[result.data(next(every)) for _ in range(request.runs)] for request in requests]

    def __getstate__(self) -> dict[str, Any]:
        # a simulator is cheap to make, and heavy to send
        return {**self.__dict__, "backend": None}


def as_double(array: object) -> np.ndarray:
    """Return what Aer saved in double precision."""
    values = np.asarray(array)
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)


def side_by_side(num_qubits: int, runs: int) -> Mapping[str, object]:
    """Return options for a call of some runs, each on a core of its own, of many small gates."""
    fusion: dict[str, object] = {"fusion_enable": False}
    if num_qubits >= QUBITS_WORTH_FUSING:
        fusion = {"fusion_enable": True, "fusion_max_qubit": 3, "fusion_threshold": 1}
    return {**fusion, "max_parallel_experiments": runs, "max_parallel_threads": runs}


def small_or_large(num_qubits: int, runs: int = 1) -> Mapping[str, object]:
    """Return options for a call of some runs of gates that are not worth fusing."""
    small = AMPLITUDES_OF_SMALL_RUNS if runs == 1 else AMPLITUDES_OF_SMALL_TABLES
    one_thread = {"max_parallel_threads": 1} if runs << num_qubits <= small else {}
    return {"fusion_enable": False, **one_thread}


def save_settings(
    circuit: QuantumCircuit, settings: Sequence[Setting], index: Sequence[int]
) -> list[str]:
    """Save the probabilities of each setting, ``index`` above its own qubits; return the labels."""
    labels = [f"setting {place}" for place in range(len(settings))]
    for label, setting in zip(labels, settings, strict=True):
        into_basis(circuit, setting)
        qubits = [*setting.qubits, *index]
        whole = qubits == list(range(circuit.num_qubits))
        circuit.save_probabilities(None if whole else qubits, label=label)
        if label != labels[-1]:  # undo the change of basis: saving does not disturb the state
            for qubit, letter in setting.basis:
                circuit.h(qubit)
                if letter == "Y":
                    circuit.s(qubit)
    return labels


def into_basis(circuit: QuantumCircuit, setting: Setting) -> None:
    """Append the gates after which a measurement in Z is one in the setting's basis."""
    for qubit, letter in setting.basis:
        if letter == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)
