"""A lowered circuit: fixed gates and rotations, and the layers in which they stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, ParameterExpression, ParameterVector

from hybridopt.circuits.gates import Angle, AngleRule, Family, LocalGate, ShiftRule
from hybridopt.circuits.instructions import NOT_GATES

Derived = TypeVar("Derived")
Kind = TypeVar("Kind", "FixedGate", "Rotation")
Row = Float64[np.ndarray, " R"]  # angles of one sample [rad]
SharedRow = Float64[np.ndarray, " O"]  # angles that all samples share [rad]
BYTES_PER_STATE_AMPLITUDE = 64  # the state, a saved copy, numpy's copy and its probabilities


class Program(ABC):
    """Family of circuits whose angles are given later; it holds no data and imports no torch.

    ``row`` angles differ from sample to sample, ``shared`` angles are the same for all samples. Any
    class with these members counts as one, whatever its bases. A program with an attribute
    ``needs_statevector`` that is False also runs on other methods of a simulator.
    """

    num_qubits: int  # of every circuit of the family

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not Program:
            return NotImplemented
        methods = "bind", "simulator_circuit", "working_memory"  # the numbers may be of instances
        return all(callable(getattr(other, name, None)) for name in methods)

    @property
    @abstractmethod
    def num_row_angles(self) -> int:
        """Number of angles R that each sample brings."""

    @property
    @abstractmethod
    def num_shared_angles(self) -> int:
        """Number of angles O that all samples share."""

    @abstractmethod
    def bind(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """Return the circuit at these angles [rad], without measurements."""

    @abstractmethod
    def simulator_circuit(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """Return the same unitary in the instructions that a simulator takes fastest."""

    @abstractmethod
    def working_memory(self) -> int:
        """Return an upper bound of the bytes to build and simulate one circuit of the family."""


@dataclass(frozen=True, eq=False)
class FixedGate:
    """A gate without a free angle, and its qubits."""

    gate: Instruction
    qubits: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Rotation:
    """A rotation by one angle of its own."""

    family: Family
    qubits: tuple[int, ...]  # as the family counts them
    angle: int  # index among the angles of its table
    per_sample: bool  # True for the table ``rows``, False for ``shared``

    @property
    def frames(self) -> dict[int, object]:
        """Frame of each qubit; rotations that agree where they meet commute."""
        names = self.family.frames
        pauli = set(names) <= {"X", "Y", "Z"}
        return {
            qubit: name if pauli else (name, self.qubits)
            for qubit, name in zip(self.qubits, names, strict=True)
        }

    def gates(self, angle: Angle) -> list[FixedGate]:
        """Return the rotation by this angle [rad]."""
        return self.placed(self.family.gates(angle))

    def phases(self, angle: Angle) -> FixedGate:
        """Return the rotation in its frame, where it is diagonal."""
        return self.placed((self.family.phases(angle),))[0]

    def placed(self, local: tuple[LocalGate, ...]) -> list[FixedGate]:
        """Return gates on qubits of the rotation as gates on qubits of the program."""
        return [FixedGate(gate, tuple(self.qubits[place] for place in at)) for gate, at in local]


@dataclass(frozen=True, eq=False)
class FreeAngle:
    """One free angle of a gate that stays whole."""

    position: int  # in ``gate.params``
    angle: int  # as of a `Rotation`
    per_sample: bool
    rule: AngleRule


@dataclass(frozen=True, eq=False)
class NativeGate:
    """Qiskit's gate with free angles that stays whole, as noise and hardware know it."""

    gate: Instruction
    qubits: tuple[int, ...]
    free_angles: tuple[FreeAngle, ...]

    def at(self, row: list[Angle], shared: list[Angle]) -> FixedGate:
        """The gate at these angles [rad]."""
        params = list(self.gate.params)
        for free in self.free_angles:
            params[free.position] = (row if free.per_sample else shared)[free.angle]
        gate = self.gate.copy()
        gate.params = params
        return FixedGate(gate, self.qubits)


Step = FixedGate | Rotation | NativeGate


@dataclass(frozen=True, eq=False)
class Layer:
    """Fixed gates in order, then rotations that all commute, each diagonal in its own frame."""

    fixed: tuple[FixedGate, ...]
    rotations: tuple[Rotation, ...]


def frame_changes(rotations: Iterable[Rotation]) -> tuple[list[FixedGate], list[FixedGate]]:
    """Gates into the frames of rotations of one layer, each qubit once, and out again."""
    into: list[FixedGate] = []
    out: list[FixedGate] = []
    framed: set[int] = set()
    for rotation in rotations:
        gates = rotation.placed(rotation.family.into_frame)
        new = [item for item in gates if not framed.issuperset(item.qubits)]
        touched = {qubit for item in new for qubit in item.qubits}
        into += new
        gates = rotation.placed(rotation.family.out_of_frame)
        out += [item for item in gates if touched.issuperset(item.qubits)]
        framed |= touched
    return into, out


@dataclass(frozen=True, eq=False)
class CircuitProgram(Program):
    """Family of circuits that one parameterized circuit defines."""

    num_qubits: int
    steps: tuple[Step, ...]
    row_expressions: tuple[ParameterExpression, ...]  # angles of each sample: inputs and weights
    shared_expressions: tuple[ParameterExpression, ...]  # angles of all samples: weights only
    # names and labels of the user's gates that were replaced: noise on them would have no effect
    rewritten: frozenset[str] = frozenset()
    # device qubit of each qubit of a physical circuit; None: the executor may place the circuit
    device_qubits: tuple[int, ...] | None = None

    @property
    def num_row_angles(self) -> int:
        """R."""
        return len(self.row_expressions)

    @property
    def num_shared_angles(self) -> int:
        """O."""
        return len(self.shared_expressions)

    @cached_property
    def rotations(self) -> tuple[Rotation, ...]:
        """All rotations in order."""
        return tuple(step for step in self.steps if isinstance(step, Rotation))

    @cached_property
    def native_gates(self) -> tuple[NativeGate, ...]:
        """Gates with free angles that stay whole; only a run of gate by gate takes them."""
        return tuple(step for step in self.steps if isinstance(step, NativeGate))

    @cached_property
    def fixed_names(self) -> frozenset[str]:
        """Names of the fixed gates."""
        return frozenset(step.gate.name for step in self.steps if isinstance(step, FixedGate))

    @cached_property
    def shifts(self) -> tuple[tuple[ShiftRule, ...], tuple[ShiftRule, ...]]:
        """Shift rules (coefficient, shift) of the row angles and of the shared angles."""
        rows = tuple(rule.shifts for rule in self._rules(per_sample=True))
        return rows, tuple(rule.shifts for rule in self._rules(per_sample=False))

    @cached_property
    def row_frequencies(self) -> tuple[frozenset[int], ...]:
        """Frequencies of outputs in each row angle, in units of 1/2."""
        return tuple(rule.frequencies for rule in self._rules(per_sample=True))

    def _rules(self, *, per_sample: bool) -> Iterator[Family | AngleRule]:
        """Rules of the angles of one table, in the order of the steps."""
        for step in self.steps:
            if isinstance(step, Rotation) and step.per_sample is per_sample:
                yield step.family
            elif isinstance(step, NativeGate):
                yield from (a.rule for a in step.free_angles if a.per_sample is per_sample)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The steps regrouped, without barriers and delays; the last may lack rotations."""
        assert not self.native_gates
        steps = [s for s in self.steps if isinstance(s, Rotation) or s.gate.name not in NOT_GATES]
        layers = []
        while steps:  # in turn, all fixed gates and all rotations that nothing stands before
            fixed, steps = _take(steps, FixedGate)
            rotations, steps = _take(steps, Rotation)
            layers.append(Layer(tuple(fixed), tuple(rotations)))
        return tuple(layers)

    def derived(self, key: Hashable, build: Callable[[], Derived]) -> Derived:
        """What somebody made from the program, made once and kept as long as it lives."""
        kept: dict[Hashable, object] = self.__dict__.setdefault("_derived", {})
        if key not in kept:
            kept[key] = build()
        return cast(Derived, kept[key])

    @cached_property
    def template(self) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
        """The circuit with a parameter for each angle, those of the rows, and the shared ones."""
        rows = ParameterVector("row", self.num_row_angles)
        shared = ParameterVector("shared", self.num_shared_angles)
        return self._circuit(list(rows), list(shared)), rows, shared

    def bind(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """The circuit at these angles [rad]."""
        return self._circuit(row.tolist(), shared.tolist())

    def simulator_circuit(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """The same circuit; lowering left only gates that simulators know."""
        return self.bind(row, shared)

    def working_memory(self) -> int:
        """Bytes for one sample."""
        return BYTES_PER_STATE_AMPLITUDE << self.num_qubits

    def __getstate__(self) -> dict[str, object]:
        # what was derived is made again on the other side
        return {field.name: self.__dict__[field.name] for field in fields(self)}

    def _circuit(self, row: list[Angle], shared: list[Angle]) -> QuantumCircuit:
        circuit = QuantumCircuit(self.num_qubits)
        for step in self.steps:
            if isinstance(step, Rotation):
                placed = step.gates((row if step.per_sample else shared)[step.angle])
            else:
                placed = [step.at(row, shared) if isinstance(step, NativeGate) else step]
            for item in placed:
                circuit.append(item.gate, item.qubits, copy=False)
        return circuit


def _take(steps: list[Step], kind: type[Kind]) -> tuple[list[Kind], list[Step]]:
    """Steps of a kind that nothing stands before, rotations in one frame a qubit; and the rest."""
    taken: list[Kind] = []
    left: list[Step] = []
    blocked: set[int] = set()
    frames: dict[int, object] = {}
    for step in steps:
        if isinstance(step, kind) and blocked.isdisjoint(step.qubits):
            own = step.frames if isinstance(step, Rotation) else {}
            if all(frames.get(qubit, frame) == frame for qubit, frame in own.items()):
                taken.append(step)
                frames.update(own)
                continue
        blocked.update(step.qubits)
        left.append(step)
    return taken, left
