"""Cache of lowered circuits for tables of parameter values."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridopt.circuits import CircuitProgram
from hybridopt.circuits.amplitudes import with_encodings
from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, Expectations, Job, Result
from hybridopt.execution.placed_readout import (
    PlacedReadout,
    place_circuit,
    place_probabilities,
    place_readout,
)
from hybridopt.execution.result import checked_result
from hybridopt.nn.parameter_map import AngleMap

Terms: TypeAlias = tuple[tuple[str, float], ...]  # labels with their factors

CIRCUITS_KEPT = 32  # a training run needs one or two
READOUTS_KEPT = 64  # per circuit


@dataclass(frozen=True, eq=False)
class Lowered:
    """Program with the map from a table of parameter values to its angles."""

    program: CircuitProgram
    angles: AngleMap
    varying: Int64[Tensor, " varying"]  # columns of the table that may differ from row to row
    constant: Int64[Tensor, " constant"]  # the other columns

    def rows(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "N R"]:
        """Return the angles that differ from row to row [rad]."""
        varying, constant = (values.index_select(1, c) for c in (self.varying, self.constant))
        return self.angles.rows(varying, constant)

    def numbers(
        self, values: Float64[np.ndarray, "N P"]
    ) -> tuple[Float64[np.ndarray, "N R"], Float64[np.ndarray, "1 O"]]:
        """Return both without autograd; without row angles also without torch."""
        rows = np.zeros((len(values), 0))  # optimizers ask for one row at a time
        if self.program.num_row_angles:
            rows = self.rows(as_tensor(values)).numpy()
        return rows, self.angles.shared_numbers(values[0, self.constant.numpy()])

    def shared(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "1 O"]:
        """Return the angles that all rows share [rad]."""
        return self.angles.shared(values[0].index_select(0, self.constant))


class CompiledCircuit:
    """Circuit placed for an executor, for any table of values of its parameters."""

    # Columns that once differed within a table stay row angles: a training run lowers its circuit
    # once or twice. Unless the outputs are its measurements (``measured``), these are removed.

    def __init__(
        self,
        circuit: QuantumCircuit,
        executor: Executor,
        *,
        measured: bool,
        normalize: bool = False,
    ) -> None:
        self._normalize = normalize
        self.parameters: tuple[Parameter, ...] = tuple(circuit.parameters)
        self.given = with_encodings(circuit.copy())
        self.executor = executor
        bare = self.given if measured else without_measurements(self.given)[0]
        self.physical: PhysicalCircuit = place_circuit(executor, bare)
        self.lock = Lock()  # jobs run in threads
        self._varied: set[int] = set()
        self._lowered: dict[tuple[frozenset[int], tuple[int, ...]], Lowered] = {}
        self._readouts: dict[Hashable, PlacedReadout] = {}
        self.lowered(np.zeros((1, len(self.parameters))), self.physical.qubits_for(()))

    def is_of(self, circuit: QuantumCircuit, executor: Executor) -> bool:
        """Return whether circuit and executor are those that were compiled."""
        given, same = self.given, executor is self.executor and circuit.layout is self.given.layout
        same = same and circuit.cregs == given.cregs
        return bool(same and with_encodings(circuit).data == given.data)

    def expectations(self, observables: tuple[SparsePauliOp, ...]) -> PlacedReadout:
        """Return the readout of observables, cached by their terms."""
        terms = [(op.paulis.z, op.paulis.x, op.coeffs) for op in observables]
        key = tuple(tuple(part.tobytes() for part in parts) for parts in terms)
        return self._readout(key, lambda: self._placed(Expectations(observables)))

    def sums(self, sums: tuple[Terms, ...]) -> PlacedReadout:
        """Return the readout of sums of labels, cached by their terms."""

        def build() -> PlacedReadout:
            observables = tuple(as_pauli_sum(dict(terms)) for terms in sums)
            return self._placed(Expectations(observables))

        return self._readout(sums, build)

    def _placed(self, readout: Expectations) -> PlacedReadout:
        return place_readout(self.physical, readout, sampled=self.executor.shots is not None)

    def probabilities(self, qubits: Sequence[int]) -> PlacedReadout:
        """Return the readout of physical qubits, cached by their indices."""
        return self._readout(tuple(qubits), lambda: place_probabilities(self.physical, qubits))

    def _readout(self, key: Hashable, build: Callable[[], PlacedReadout]) -> PlacedReadout:
        """Return a cached readout; a full cache is cleared with the programs that refer to it."""
        if key not in self._readouts:
            if len(self._readouts) >= READOUTS_KEPT:
                self._readouts.clear()
                self._lowered.clear()
            self._readouts[key] = build()
        return self._readouts[key]

    def run(
        self, placed: PlacedReadout, values: Float64[np.ndarray, "N P"], shots: int | None = None
    ) -> Result:
        """Return the readout at each row of values, (1, N, K); None for the executor's shots."""
        lowered = self.lowered(values, placed.qubits)
        rows, shared = lowered.numbers(values)
        own = None if shots == self.executor.shots else shots
        job = Job(lowered.program, placed.readout, rows, shared, shots=own)
        return checked_result(self.executor, job, self.executor.run(job))

    def lowered(
        self,
        values: Float64[np.ndarray, "N P"],
        qubits: tuple[int, ...],
        each: Iterable[int] = (),
    ) -> Lowered:
        """Return the program for a table of values; the columns ``each`` are row angles, too."""
        self._varied.update(np.flatnonzero((values != values[:1]).any(axis=0)).tolist())
        key = frozenset(self._varied.union(each)), qubits
        if key not in self._lowered:  # programs with fewer row angles are no longer needed
            self._lowered = {k: v for k, v in self._lowered.items() if k[0] >= self._varied}
            varying, places = sorted(key[0]), range(len(self.parameters))
            constant = [place for place in places if place not in key[0]]
            inputs, weights = ([self.parameters[n] for n in part] for part in (varying, constant))
            program = self.physical.lower(inputs, weights, qubits)
            angles = AngleMap(program, inputs, weights, normalize=self._normalize)
            columns = (torch.tensor(part, dtype=torch.long) for part in (varying, constant))
            self._lowered[key] = Lowered(program, angles, *columns)
        return self._lowered[key]


class CompiledCircuits:
    """Cache of the last compiled circuits, by identity; a changed circuit is compiled again."""

    def __init__(self, *, measured: bool = False, normalize: bool = False) -> None:
        self._options = {"measured": measured, "normalize": normalize}
        self._kept: dict[int, CompiledCircuit] = {}
        self._lock = Lock()

    def of(self, circuit: QuantumCircuit, executor: Executor) -> CompiledCircuit:
        """Return the compiled circuit, from the cache if it is unchanged."""
        with self._lock:
            compiled = self._kept.pop(id(circuit), None)
            if compiled is None or not compiled.is_of(circuit, executor):
                compiled = CompiledCircuit(circuit, executor, **self._options)
            self._kept[id(circuit)] = compiled  # the last used circuit is the last item
            if len(self._kept) > CIRCUITS_KEPT:
                del self._kept[next(iter(self._kept))]
            return compiled

    def __getstate__(self) -> dict[str, bool]:
        return self._options  # identities of circuits are not valid elsewhere

    def __setstate__(self, options: dict[str, bool]) -> None:
        self.__init__(**options)  # type: ignore[misc]


def refuse_padding(pad_with: float | None) -> None:
    """Raise UnsupportedError for missing amplitudes, which Qiskit's pubs do not allow."""
    if pad_with is not None:
        raise UnsupportedError(
            f"`pad_with` must be None for a primitive (got {pad_with!r}): a pub has a value for "
            "every parameter. Fill the amplitudes up before, or use `hybridopt.from_qnn`."
        )


def table_of(bindings: BindingsArray, circuit: QuantumCircuit) -> Float64[np.ndarray, "N P"]:
    """Return the values of all parameters in the circuit's order, one row per set."""
    parameters = tuple(parameter.name for parameter in circuit.parameters)
    given = bindings.data.get(parameters)  # the usual form: all values in one array
    values = bindings.as_array(circuit.parameters) if given is None else given
    values = np.asarray(values, dtype=np.float64)
    return values.reshape(math.prod(bindings.shape), circuit.num_parameters)


def as_tensor(values: Float64[np.ndarray, "N P"]) -> Float64[Tensor, "N P"]:
    """Return a copy of the values as a tensor."""
    return torch.from_numpy(np.array(values, dtype=np.float64))
