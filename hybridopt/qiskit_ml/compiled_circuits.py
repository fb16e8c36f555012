"""Cache of lowered circuits for tables of parameter values."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridopt.circuits import CircuitProgram
from hybridopt.circuits.amplitudes import with_encodings
from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, Expectations, Job
from hybridopt.execution.placed_readout import (
    PlacedReadout,
    place_circuit,
    place_probabilities,
    place_readout,
)
from hybridopt.nn.parameter_map import AngleMap

CIRCUITS_KEPT = 32  # a training run needs one or two
READOUTS_KEPT = 64  # per circuit


@dataclass(frozen=True, eq=False)
class Lowered:
    """Program with the map from a table of parameter values to its angles."""

    program: CircuitProgram
    angles: AngleMap
    varying: list[int]  # columns of the table that may differ from row to row
    constant: list[int]  # the other columns

    def rows(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "N R"]:
        """Return the angles that differ from row to row [rad]."""
        return self.angles.rows(values[:, self.varying], values[:, self.constant])

    def shared(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "1 O"]:
        """Return the angles that all rows share [rad]."""
        return self.angles.shared(values[0, self.constant])


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
        self._varied: set[int] = set()
        self._lowered: dict[tuple[frozenset[int], tuple[int, ...]], Lowered] = {}
        self._readouts: dict[Hashable, PlacedReadout] = {}
        self.lowered(np.zeros((1, len(self.parameters))), self.physical.qubits_for(()))

    def is_of(self, circuit: QuantumCircuit, executor: Executor) -> bool:
        """Return whether circuit and executor are those that were compiled."""
        given, same = self.given, executor is self.executor and circuit.layout is self.given.layout
        same = same and circuit.cregs == given.cregs
        return bool(same and with_encodings(circuit).data == given.data)

    def expectations(
        self, observables: tuple[SparsePauliOp, ...], *, with_variances: bool = False
    ) -> PlacedReadout:
        """Return the readout of observables, cached by their terms."""
        terms = [(op.paulis.z, op.paulis.x, op.coeffs) for op in observables]
        key = (with_variances, *(tuple(part.tobytes() for part in parts) for parts in terms))
        place = partial(place_readout, self.physical, sampled=self.executor.shots is not None)
        return self._readout(key, lambda: place(Expectations(observables, with_variances)))

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
        self, placed: PlacedReadout, values: Float64[np.ndarray, "N P"]
    ) -> Float64[np.ndarray, "N K"]:
        """Return the readout at each row of parameter values."""
        lowered, angles = self.lowered(values, placed.qubits), as_tensor(values)
        rows, shared = lowered.rows(angles).numpy(), lowered.shared(angles).numpy()
        found = self.executor.run(Job(lowered.program, placed.readout, rows, shared))[0]
        return np.asarray(found)

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
            self._lowered[key] = Lowered(program, angles, varying, constant)
        return self._lowered[key]


class CompiledCircuits:
    """Cache of the last compiled circuits, by identity; a changed circuit is compiled again."""

    def __init__(self, *, measured: bool = False, normalize: bool = False) -> None:
        self._options = {"measured": measured, "normalize": normalize}
        self._kept: dict[int, CompiledCircuit] = {}

    def of(self, circuit: QuantumCircuit, executor: Executor) -> CompiledCircuit:
        """Return the compiled circuit, from the cache if it is unchanged."""
        compiled = self._kept.pop(id(circuit), None)
        if compiled is None or not compiled.is_of(circuit, executor):
            compiled = CompiledCircuit(circuit, executor, **self._options)
        self._kept[id(circuit)] = compiled  # the last used circuit is the last item
        if len(self._kept) > CIRCUITS_KEPT:
            del self._kept[next(iter(self._kept))]
        return compiled

    def __getstate__(self) -> dict[str, object]:
        return {"_options": self._options, "_kept": {}}  # identities are not valid elsewhere


def refuse_padding(pad_with: float | None) -> None:
    """Raise UnsupportedError for missing amplitudes, which Qiskit's pubs do not allow."""
    if pad_with is not None:
        raise UnsupportedError(
            f"`pad_with` must be None for a primitive (got {pad_with!r}): a pub has a value for "
            "every parameter. Fill the amplitudes up before, or use `hybridopt.from_qnn`."
        )


def table_of(bindings: BindingsArray, circuit: QuantumCircuit) -> Float64[np.ndarray, "N P"]:
    """Return the values of all parameters in the circuit's order, one row per set."""
    values = np.asarray(bindings.as_array(circuit.parameters), dtype=np.float64)
    return values.reshape(math.prod(bindings.shape), circuit.num_parameters)


def as_tensor(values: Float64[np.ndarray, "N P"]) -> Float64[Tensor, "N P"]:
    """Return a copy of the values as a tensor."""
    return torch.from_numpy(np.array(values, dtype=np.float64))
