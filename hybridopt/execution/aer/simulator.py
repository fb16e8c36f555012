"""Aer, and the account of what it has run."""

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
from hybridopt.execution.cost import Cost

# Measured: fused matrices cost more than our gates, and waking threads more than a small call.
# Threads that share one run wait for each other after every gate: on a busy machine that takes
# longer than the gate itself up to about 2^17 amplitudes.
LARGE_RUN: Mapping[str, object] = {"fusion_enable": False}
SMALL_RUN: Mapping[str, object] = {"fusion_enable": False, "max_parallel_threads": 1}
AMPLITUDES_OF_SMALL_TABLES = 1 << 13
AMPLITUDES_OF_SMALL_RUNS = 1 << 16
QUBITS_WORTH_FUSING = 15

Data = dict[str, Any]  # what one run saved, by label


@dataclass(frozen=True, eq=False)
class Load:
    """A circuit to run, once or with a table of angles.

    Attributes:
        circuit: With the instructions that save what is wanted.
        settings: How many settings one run of it stands for.
        binds: Values of its parameters, one run for each place in the lists; None runs once.
    """

    circuit: QuantumCircuit
    settings: int
    binds: Mapping[Parameter, list[float]] | None = None

    @property
    def runs(self) -> int:
        """Length of the table."""
        return 1 if not self.binds else len(next(iter(self.binds.values())))


@dataclass
class Simulator:
    """The one place where circuits reach Aer, and where they are counted.

    Attributes:
        method: Aer's.
        device: ``"CPU"`` or ``"GPU"``.
        precision: ``"double"`` or ``"single"``.
        shots: Shots a setting, for the account.
        usage: Settings, shots and runs so far.
    """

    method: str
    device: str
    precision: str
    shots: int | None
    usage: Cost = field(default_factory=Cost)
    backend: AerBackend | None = None

    def submit(self, loads: Sequence[Load], **options: object) -> list[list[Data]]:
        """Run all loads in one call.

        Args:
            loads: Either all with tables of angles, or all without.
            options: Of Aer's run.

        Returns:
            For each load, what each of its runs saved.

        Raises:
            ExecutionError: If Aer reports a failure.
        """
        circuits = [load.circuit for load in loads]
        if any(load.binds for load in loads):
            options["parameter_binds"] = [dict(load.binds or {}) for load in loads]
            options.setdefault("runtime_parameter_bind_enable", True)
        try:
            result = self._aer().run(circuits, **options).result()
        except RuntimeError as error:  # of Aer's own, such as a failed decomposition of Kraus maps
            raise ExecutionError(f"Aer could not run the circuits: {error}") from error
        if not result.success:
            raise ExecutionError(f"Aer could not run the circuits: {result.status}")
        runs = sum(load.runs for load in loads)
        if len(result.results) != runs:
            raise ExecutionError(f"Aer ran {len(result.results)} circuits where {runs} were given.")
        settings = sum(load.settings * load.runs for load in loads)
        self.usage += Cost(settings, settings * (self.shots or 0), len(result.results))
        every = iter(range(len(result.results)))
        return [[result.data(next(every)) for _ in range(load.runs)] for load in loads]

    def _aer(self) -> AerBackend:
        if self.backend is None:
            self.backend = AerSimulator(
                method=self.method,
                device=self.device,
                precision=self.precision,
            )
        return self.backend

    def __getstate__(self) -> dict[str, Any]:
        # a simulator is cheap to make, and heavy to send
        return {**self.__dict__, "backend": None}


def double(array: object) -> np.ndarray:
    """What Aer saved, in double precision."""
    values = np.asarray(array)
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)


def side_by_side(num_qubits: int, runs: int) -> Mapping[str, object]:
    """Options for a call of some runs, each on a core of its own, of many gates on one qubit.

    Measured: fused matrices pay from 2^15 amplitudes on, on three qubits or more. Threads that
    share the gates of one run wait for each other after every gate, long on a busy machine.
    """
    fusion: dict[str, object] = {"fusion_enable": False}
    if num_qubits >= QUBITS_WORTH_FUSING:
        fusion = {"fusion_enable": True, "fusion_max_qubit": 3, "fusion_threshold": 1}
    threads = {"max_parallel_experiments": runs, "max_parallel_threads": runs}
    return {**fusion, **threads}


def small_or_large(num_qubits: int, runs: int = 1) -> Mapping[str, object]:
    """Options for a call of some runs of gates that are not worth fusing."""
    small = AMPLITUDES_OF_SMALL_RUNS if runs == 1 else AMPLITUDES_OF_SMALL_TABLES
    return SMALL_RUN if runs << num_qubits <= small else LARGE_RUN
