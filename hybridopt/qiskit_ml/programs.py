"""Lowered circuits for tables of parameter values, each lowered once and kept for a while."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Bool, Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.primitives.containers.bindings_array import BindingsArray
from torch import Tensor

from hybridopt.circuits import CircuitProgram
from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.execution import Executor, Readout
from hybridopt.execution.placed_readout import PlacedReadout, place_circuit, place_readout
from hybridopt.nn.parameter_map import AngleMap

CIRCUITS_KEPT = 32  # a program trains one or two; more only costs memory
READOUTS_KEPT = 64  # of one circuit
Derived = TypeVar("Derived")


@dataclass(frozen=True, eq=False)
class Lowered:
    """A program, and how a table of parameter values becomes its angles.

    Attributes:
        program: The family of circuits.
        angles: Of the program.
        varying: Columns of the table that may differ from row to row.
        constant: The other columns.
        in_rows: Columns that an angle of ``rows`` depends on.
        in_shared: Columns that an angle of ``shared`` depends on.
    """

    program: CircuitProgram
    angles: AngleMap
    varying: list[int]
    constant: list[int]
    in_rows: frozenset[int]
    in_shared: frozenset[int]

    def rows(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "N R"]:
        """Angles that differ from row to row [rad]."""
        return self.angles.rows(values[:, self.varying], values[:, self.constant])

    def shared(self, values: Float64[Tensor, "N P"]) -> Float64[Tensor, "1 O"]:
        """Angles that all rows have in common [rad]."""
        return self.angles.shared(values[0, self.constant])


class Prepared:
    """One circuit, placed for an executor, ready for any table of values of its parameters.

    A column that once differed within a table is taken to differ from then on, so that a training
    run lowers its circuit once or twice whatever its batches hold.

    Args:
        circuit: With final measurements or without.
        executor: Places the circuit, and runs it.
        measured: Whether the measurements of the circuit are what is read. Else they are taken
            out before the circuit is placed.

    Raises:
        CircuitError: If it cannot be lowered.
        UnsupportedError: If it does not go with the executor's noise.
    """

    def __init__(self, circuit: QuantumCircuit, executor: Executor, *, measured: bool) -> None:
        self.parameters: tuple[Parameter, ...] = tuple(circuit.parameters)
        self.given = circuit.copy()
        self.executor = executor
        bare = self.given if measured else without_measurements(self.given)[0]
        self.physical: PhysicalCircuit = place_circuit(executor, bare)
        self._varied: set[int] = set()
        self._lowered: dict[tuple[frozenset[int], tuple[int, ...]], Lowered] = {}
        self._readouts: dict[Hashable, object] = {}
        self.lowered(np.zeros((1, len(self.parameters))), self.physical.qubits_for(()))

    def is_of(self, circuit: QuantumCircuit, executor: Executor) -> bool:
        """Whether circuit and executor are still those that were prepared."""
        given = self.given
        return bool(
            executor is self.executor
            and circuit.layout is given.layout
            and circuit.cregs == given.cregs
            and circuit.data == given.data
        )

    def place(self, key: Hashable, readout: Callable[[], Readout]) -> PlacedReadout:
        """A readout of the circuit's observables, made once; ``key`` has their content."""
        return self.readout(
            key,
            lambda: place_readout(
                self.physical, readout(), sampled=self.executor.shots is not None
            ),
        )

    def readout(self, key: Hashable, build: Callable[[], Derived]) -> Derived:
        """What is made from observables, made once; ``key`` has their content.

        Programs keep what they derive from a readout, so that they go when too many have come.
        """
        if key not in self._readouts:
            if len(self._readouts) >= READOUTS_KEPT:
                self._readouts.clear()
                self._lowered.clear()
            self._readouts[key] = build()
        return cast(Derived, self._readouts[key])

    def lowered(
        self,
        values: Float64[np.ndarray, "N P"],
        qubits: tuple[int, ...],
        each: Iterable[int] = (),
    ) -> Lowered:
        """The program for a table of values.

        Args:
            values: One row for each set of parameter values.
            qubits: Of the physical circuit, that are simulated.
            each: Columns to be taken as differing from row to row in any case.
        """
        differs: Bool[np.ndarray, " P"] = (values != values[:1]).any(axis=0)
        self._varied.update(np.flatnonzero(differs).tolist())
        varying = frozenset(self._varied.union(each))
        if (varying, qubits) not in self._lowered:
            self._lowered = {
                key: kept
                for key, kept in self._lowered.items()
                if key[0] >= self._varied  # the others are not asked for again
            }
            self._lowered[varying, qubits] = self._lower(sorted(varying), qubits)
        return self._lowered[varying, qubits]

    def _lower(self, varying: list[int], qubits: tuple[int, ...]) -> Lowered:
        constant = [place for place in range(len(self.parameters)) if place not in set(varying)]
        inputs = [self.parameters[place] for place in varying]
        weights = [self.parameters[place] for place in constant]
        program = self.physical.lower(inputs, weights, qubits)
        return Lowered(
            program=program,
            angles=AngleMap(program, inputs, weights),
            varying=varying,
            constant=constant,
            in_rows=self._columns(program.row_expressions),
            in_shared=self._columns(program.shared_expressions),
        )

    def _columns(self, expressions: Iterable[ParameterExpression]) -> frozenset[int]:
        used = {parameter for expression in expressions for parameter in expression.parameters}
        return frozenset(
            place for place, parameter in enumerate(self.parameters) if parameter in used
        )


class PreparedCircuits:
    """The circuits that were used last, prepared.

    Circuits are found by identity and compared with what was prepared, so that one that was
    changed in place is prepared again.

    Args:
        measured: Whether the measurements of the circuits are what is read.
    """

    def __init__(self, *, measured: bool = False) -> None:
        self._measured = measured
        self._kept: OrderedDict[int, Prepared] = OrderedDict()

    def of(self, circuit: QuantumCircuit, executor: Executor) -> Prepared:
        """The circuit, prepared now or before.

        Raises:
            CircuitError: If it cannot be lowered.
        """
        key = id(circuit)
        prepared = self._kept.get(key)
        if prepared is None or not prepared.is_of(circuit, executor):
            prepared = Prepared(circuit, executor, measured=self._measured)
            self._kept[key] = prepared
        self._kept.move_to_end(key)
        while len(self._kept) > CIRCUITS_KEPT:
            self._kept.popitem(last=False)
        return prepared

    def __getstate__(self) -> dict[str, object]:
        # identities mean nothing on the other side
        return {"_measured": self._measured, "_kept": OrderedDict()}


def table_of(bindings: BindingsArray, circuit: QuantumCircuit) -> Float64[np.ndarray, "N P"]:
    """Values of all parameters, one row for each set, in the circuit's order."""
    values = np.asarray(bindings.as_array(circuit.parameters), dtype=np.float64)
    return values.reshape(math.prod(bindings.shape), circuit.num_parameters)


def as_tensor(values: Float64[np.ndarray, "N P"]) -> Float64[Tensor, "N P"]:
    """The values as a tensor of its own memory."""
    return torch.from_numpy(np.array(values, dtype=np.float64))
