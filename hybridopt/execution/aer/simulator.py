"""Interface to Aer: run requests, counted runs, and instructions that save probabilities."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aerbackend import AerBackend

from hybridopt.errors import ExecutionError
from hybridopt.execution.aer.gpu import (
    Reads,
    gpu_options,
    with_probabilities,
    with_saved_states,
)
from hybridopt.execution.cost import Cost
from hybridopt.execution.memory_budget import usable_cores
from hybridopt.execution.readout import Readout, Setting

# Measured: fusion costs more than it saves here, and threads cost more than a small call. Threads
# that share one run wait for each other after every gate. On a busy machine, this takes longer than
# the gate up to about 2^17 amplitudes.
AMPLITUDES_OF_SMALL_TABLES = 1 << 13
AMPLITUDES_OF_SMALL_RUNS = 1 << 16
QUBITS_WORTH_FUSING = 15  # measured: from here on, fusion to three qubits is faster

_THREADS: list[int] = []  # largest number per call in this process, if it is limited

DISCARDED = re.compile(r"discarded_value=([0-9.eE+-]+)")

Data = dict[str, Any]  # saved data of one run, by label


@dataclass(frozen=True, eq=False)
class RunRequest:
    """Circuit to run, once or with a table of angles."""

    circuit: QuantumCircuit
    settings: int  # settings per run
    binds: Mapping[Parameter, list[float]] | None = None  # values of its parameters, one per run
    readout: Readout | None = None  # if given, each setting is one for each of its bases

    @property
    def runs(self) -> int:
        """Number of runs, the length of the table."""
        return 1 if not self.binds else len(next(iter(self.binds.values())))


@dataclass
class Tally:
    """Counted cost of some requests."""

    counted: Cost = field(default_factory=Cost)
    # numbers of circuits by readout and shots, whose bases are counted on request: counting groups
    # all Pauli strings
    uncounted: Counter[tuple[Readout, int | None]] = field(default_factory=Counter)

    def count(self, requests: Sequence[RunRequest], shots: int | None, runs: int) -> None:
        """Add the cost of some requests."""
        settings = 0
        for request in requests:
            if request.readout is None:
                settings += request.settings * request.runs
            else:
                self.uncounted[request.readout, shots] += request.settings * request.runs
        self.counted += Cost(settings, settings * (shots or 0), runs)

    @property
    def cost(self) -> Cost:
        """Cost of all requests."""
        while self.uncounted:
            (readout, shots), circuits = self.uncounted.popitem()
            settings = circuits * readout.num_settings
            self.counted += Cost(settings, settings * (shots or 0))
        return self.counted


@dataclass
class SimulatorState:
    """Cost, backend and last requests of a simulator."""

    tally: Tally = field(default_factory=Tally)  # since construction
    of_call: Tally = field(default_factory=Tally)  # of the last call
    backend: AerBackend | None = None
    last: list[RunRequest] = field(default_factory=list)  # of the last call, if it may truncate

    def start_call(self) -> None:
        """Forget the cost and the requests of the last call."""
        self.of_call, self.last = Tally(), []

    def __getstate__(self) -> dict[str, Any]:
        # the backend is large to pickle and fast to create
        return {"tally": Tally(self.tally.cost), "of_call": Tally(), "backend": None, "last": []}


@dataclass(frozen=True)
class Simulator:
    """Simulator that runs and counts all circuits of one method of Aer.

    A copy with other shots (`dataclasses.replace`) has the same state.
    """

    method: str
    device: str
    precision: str
    shots: int | None  # per setting, for the cost
    options: Mapping[str, object] = field(default_factory=dict)  # further options of Aer
    state: SimulatorState = field(default_factory=SimulatorState)

    @property
    def usage(self) -> Cost:
        """Cost of all runs."""
        return self.state.tally.cost

    @property
    def parallel_runs(self) -> int:
        """Number of runs that execute at the same time: one per core, or one on a GPU."""
        return 1 if self.device == "GPU" else usable_threads()

    def submit(self, requests: Sequence[RunRequest], **options: Any) -> list[list[Data]]:
        """Return the saved data of each run per request; all requests have tables, or none."""
        circuits: Sequence[QuantumCircuit] = [request.circuit for request in requests]
        reads: Sequence[Reads] = [{}] * len(circuits)
        if self.device == "GPU":
            options |= gpu_options(circuits)
        if self.device == "GPU" and self.method == "statevector":
            circuits, reads = zip(*map(with_saved_states, circuits), strict=True)
        if any(request.binds for request in requests):
            options["parameter_binds"] = [dict(request.binds or {}) for request in requests]
            options.setdefault("runtime_parameter_bind_enable", True)
        for limit in _THREADS:
            options["max_parallel_threads"] = min(limit, options.get("max_parallel_threads", limit))
        state = self.state
        try:
            result = self._backend.run(list(circuits), **options).result()
        except RuntimeError as error:  # such as a failed decomposition of Kraus maps
            raise _failure(error) from error
        if not result.success:
            raise _failure(result.status)
        runs = sum(request.runs for request in requests)
        if len(result.results) != runs:
            raise _failure(f"it returned {len(result.results)} results for {runs} runs.")
        if self.method == "matrix_product_state":
            state.last += requests
        for tally in (state.tally, state.of_call):
            tally.count(requests, self.shots, runs)
        every = iter(range(runs))
        return [
            [with_probabilities(result.data(next(every)), labels) for _ in range(request.runs)]
            for request, labels in zip(requests, reads, strict=True)
        ]

    @property
    def _backend(self) -> AerBackend:
        if self.state.backend is None:
            of = {"method": self.method, "device": self.device, "precision": self.precision}
            self.state.backend = AerSimulator(**of, **self.options)
        return self.state.backend

    def count_in_place(self, readout: Readout, circuits: int, runs: int) -> None:
        """Count circuits that ran on buffers of numpy, each in all bases of a readout."""
        for tally in (self.state.tally, self.state.of_call):
            tally.uncounted[readout, self.shots] += circuits
            tally.counted += Cost(runs=runs)

    def discarded_weight(self) -> float | None:
        """Return the truncated weight of the requests since ``last`` was cleared.

        The requests run once more with Aer's log, which is not kept in training: it grows in
        every run of the process. These runs are not counted.
        """
        if not self.state.last:
            return None
        pair = QuantumCircuit(2)
        pair.cx(0, 1)
        pair.save_probabilities()
        before = self._logged(RunRequest(pair, 0))
        return self._logged(*self.state.last) - before

    def _logged(self, *requests: RunRequest) -> float:
        log = ""
        for request in requests:
            binds = [dict(request.binds)] if request.binds else None
            of = {"method": self.method, "precision": self.precision, **self.options}
            simulator = AerSimulator(**of, mps_log_data=True, max_parallel_experiments=1)
            result = simulator.run(request.circuit, parameter_binds=binds, shots=1).result()
            logs = (one.metadata.get("MPS_log_data", "") for one in result.results)
            log = max([log, *logs], key=len)
        return math.fsum(map(float, DISCARDED.findall(log)))


def limit_threads(count: int) -> None:
    """Limit the threads of every call of Aer in this process, as in a worker of a cluster.

    ``OMP_NUM_THREADS`` has no effect once Aer is loaded.
    """
    _THREADS[:] = [count]


def usable_threads() -> int:
    """Return the largest number of threads of a call of Aer in this process."""
    return min([usable_cores(), *_THREADS])


def _failure(reason: object) -> ExecutionError:
    return ExecutionError(f"Aer could not run the circuits: {reason}")


def as_double(array: object) -> np.ndarray:
    """Return saved data in double precision."""
    values = np.asarray(array)
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)


def side_by_side(num_qubits: int, runs: int) -> Mapping[str, object]:
    """Return options for a call of parallel runs, one per core, with many small gates."""
    fuse = num_qubits >= QUBITS_WORTH_FUSING
    fusion = {"fusion_enable": fuse, "fusion_max_qubit": 3, "fusion_threshold": 1}
    return {**fusion, "max_parallel_experiments": runs, "max_parallel_threads": runs}


def small_or_large(num_qubits: int, runs: int = 1) -> Mapping[str, object]:
    """Return options for a call of some runs without fusion of gates."""
    small = AMPLITUDES_OF_SMALL_RUNS if runs == 1 else AMPLITUDES_OF_SMALL_TABLES
    one_thread = {"max_parallel_threads": 1} if runs << num_qubits <= small else {}
    return {"fusion_enable": False, **one_thread}


def save_settings(
    circuit: QuantumCircuit,
    settings: Sequence[Setting],
    index: Sequence[int],
    *,
    states: bool = False,
) -> list[str]:
    """Save the probabilities of each setting with ``index`` as highest bits; return the labels.

    With ``states``, the state in each basis is saved instead.
    """
    labels = [f"setting {place}" for place in range(len(settings))]
    for label, setting in zip(labels, settings, strict=True):
        into_basis(circuit, setting)
        qubits = [*setting.qubits, *index]
        whole = qubits == list(range(circuit.num_qubits))
        if states:
            circuit.save_statevector(label=label)
        else:
            circuit.save_probabilities(None if whole else qubits, label=label)
        if label != labels[-1]:  # undo the change of basis; saving keeps the state
            for qubit, letter in setting.basis:
                circuit.h(qubit)
                if letter == "Y":
                    circuit.s(qubit)
    return labels


def into_basis(circuit: QuantumCircuit, setting: Setting) -> None:
    """Append the gates that change from the basis of the setting to Z."""
    for qubit, letter in setting.basis:
        if letter == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)
