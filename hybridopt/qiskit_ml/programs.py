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

from hybridopt.circuits import CircuitProgram, lower
from hybridopt.nn.angles import AngleMap
from hybridopt.qiskit_ml.measurements import Unmeasured, without_measurements

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
    """One circuit, ready for any table of values of its parameters.

    A column that once differed within a table is taken to differ from then on, so that a training
    run lowers its circuit once or twice whatever its batches hold.

    Args:
        circuit: With final measurements or without.
        whole: Whether controlled gates stay in one piece.

    Raises:
        CircuitError: If it cannot be lowered.
    """

    def __init__(self, circuit: QuantumCircuit, *, whole: bool) -> None:
        self.parameters: tuple[Parameter, ...] = tuple(circuit.parameters)
        self.unmeasured: Unmeasured = without_measurements(circuit.copy())
        self._whole = whole
        self._varied: set[int] = set()
        self._lowered: dict[frozenset[int], Lowered] = {}
        self._readouts: dict[Hashable, object] = {}
        self.lowered(np.zeros((1, len(self.parameters))))

    def is_of(self, circuit: QuantumCircuit) -> bool:
        """Whether the circuit is still the one that was prepared."""
        given = self.unmeasured.given
        return bool(
            circuit.layout is given.layout
            and circuit.cregs == given.cregs
            and circuit.data == given.data
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

    def lowered(self, values: Float64[np.ndarray, "N P"], each: Iterable[int] = ()) -> Lowered:
        """The program for a table of values.

        Args:
            values: One row for each set of parameter values.
            each: Columns to be taken as differing from row to row in any case.
        """
        differs: Bool[np.ndarray, " P"] = (values != values[:1]).any(axis=0)
        self._varied.update(np.flatnonzero(differs).tolist())
        varying = frozenset(self._varied.union(each))
        if varying not in self._lowered:
            self._lowered = {
                columns: kept
                for columns, kept in self._lowered.items()
                if columns >= self._varied  # the others are not asked for again
            }
            self._lowered[varying] = self._lower(sorted(varying))
        return self._lowered[varying]

    def _lower(self, varying: list[int]) -> Lowered:
        constant = [place for place in range(len(self.parameters)) if place not in set(varying)]
        inputs = [self.parameters[place] for place in varying]
        weights = [self.parameters[place] for place in constant]
        program = lower(self.unmeasured.circuit, inputs, weights, whole=self._whole)
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
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, bool], Prepared] = OrderedDict()

    def of(self, circuit: QuantumCircuit, *, whole: bool) -> Prepared:
        """The circuit, prepared now or before.

        Raises:
            CircuitError: If it cannot be lowered.
        """
        key = (id(circuit), whole)
        prepared = self._kept.get(key)
        if prepared is None or not prepared.is_of(circuit):
            prepared = Prepared(circuit, whole=whole)
            self._kept[key] = prepared
        self._kept.move_to_end(key)
        while len(self._kept) > CIRCUITS_KEPT:
            self._kept.popitem(last=False)
        return prepared

    def __getstate__(self) -> dict[str, object]:
        return {"_kept": OrderedDict()}  # identities mean nothing on the other side


def table_of(bindings: BindingsArray, circuit: QuantumCircuit) -> Float64[np.ndarray, "N P"]:
    """Values of all parameters, one row for each set, in the circuit's order."""
    values = np.asarray(bindings.as_array(circuit.parameters), dtype=np.float64)
    return values.reshape(math.prod(bindings.shape), circuit.num_parameters)


def as_tensor(values: Float64[np.ndarray, "N P"]) -> Float64[Tensor, "N P"]:
    """The values as a tensor of its own memory."""
    return torch.from_numpy(np.array(values, dtype=np.float64))
