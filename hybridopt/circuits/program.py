"""Programs: families of circuits, their angles, templates and fingerprints."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector

from hybridopt.circuits.amplitudes import AmplitudeInput
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.gates import Angle, AngleRule, Family, ShiftRule
from hybridopt.circuits.instructions import NOT_GATES
from hybridopt.circuits.steps import FixedGate, FreeAngle, Layer, NativeGate, Rotation, Step, take

Derived = TypeVar("Derived")
Free = TypeVar("Free", Rotation, FreeAngle)
Row = Float64[np.ndarray, " R"]  # angles of one sample [rad]
SharedRow = Float64[np.ndarray, " O"]  # angles that all samples share [rad]
Rows = Float64[np.ndarray, "B R"]
SharedRows = Float64[np.ndarray, "S O"]
RowValues = Float64[np.ndarray, "B P"]  # of P row parameters of a template
SharedValues = Float64[np.ndarray, "S Q"]
GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it modulo 1 are all different
BYTES_PER_STATE_AMPLITUDE = 80  # measured: state, saved copy, numpy copies, probabilities, shots


class Template(NamedTuple):
    """Circuit with free angles, in gates of hardware; it holds each of its parameters."""

    circuit: QuantumCircuit
    rows: Sequence[Parameter]  # in the order of the columns of `Program.template_angles`
    shared: Sequence[Parameter]


class Program(ABC):
    """Family of circuits that take their angles later; it holds no data and imports no torch.

    Row angles differ from sample to sample. Shared angles are the same for all samples. A class
    with these members is a program; it need not inherit from this class. A program with the
    attribute ``needs_statevector = False`` also runs on other methods of a simulator.
    """

    num_qubits: int  # of every circuit of the family

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not Program:
            return NotImplemented
        methods = "bind", "simulator_circuit", "working_memory"  # instances may have the numbers
        return all(callable(getattr(other, name, None)) for name in methods)

    @property
    @abstractmethod
    def num_row_angles(self) -> int:
        """Number of row angles R."""

    @property
    @abstractmethod
    def num_shared_angles(self) -> int:
        """Number of shared angles O."""

    @abstractmethod
    def bind(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """Return the circuit at these angles [rad], without measurements."""

    @abstractmethod
    def simulator_circuit(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """Return the same unitary in the instructions that a simulator runs fastest."""

    @abstractmethod
    def working_memory(self) -> int:
        """Return an upper bound of the memory for one circuit, in bytes."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal circuits, in all processes.

        The default is made from the numbers of qubits and angles, and from the circuit bound at
        fixed angles in which no two are equal. A program whose circuit depends on the angles in
        another way, such as by a threshold, needs a fingerprint of its own.
        """
        return _bound_fingerprint(self)

    @property
    def template(self) -> Template | None:
        """Circuit with free angles, which executors of hardware transpile once per program.

        None is the default: such executors then transpile the circuit of each row of angles.
        `template_angles` returns the values of its parameters. The bound template and the circuit
        of `bind` have the same state. Keep circuit and parameters together, as each program has
        parameters of its own.
        """
        return None

    def template_angles(self, rows: Rows, shared: SharedRows) -> tuple[RowValues, SharedValues]:
        """Return the values of the parameters of `template` [rad], for tables of a job.

        By default, parameters are the angles themselves.
        """
        return rows, shared


def fingerprint_of(program: Program) -> str:
    """Return the fingerprint of any program, also of one that does not inherit from `Program`."""
    own = getattr(program, "fingerprint", None)
    return _bound_fingerprint(program) if own is None else cast(str, own)


def template_of(program: Program) -> Template | None:
    """Return the template of any program, also of one that does not inherit from `Program`.

    None if the program does not have ``template_angles``, too.
    """
    if not callable(getattr(program, "template_angles", None)):
        return None
    return getattr(program, "template", None)


def _bound_fingerprint(program: Program) -> str:
    num_rows, num_shared = program.num_row_angles, program.num_shared_angles
    angles = np.arange(1, num_rows + num_shared + 1) * GOLDEN % 1  # positive, also as amplitudes
    circuit = program.bind(angles[:num_rows], angles[num_rows:])
    device_qubits = getattr(program, "device_qubits", None)
    return digest("bound", num_rows, num_shared, device_qubits, circuit)


@dataclass(frozen=True, eq=False)
class CircuitProgram(Program):
    """Family of circuits that one parameterized circuit defines."""

    num_qubits: int
    steps: tuple[Step, ...]
    row_expressions: tuple[ParameterExpression, ...]  # contain inputs, perhaps weights
    shared_expressions: tuple[ParameterExpression, ...]  # contain weights only
    # names and labels of the user's gates that were replaced: noise on them has no effect
    rewritten: frozenset[str] = frozenset()
    # device qubit of each qubit of a physical circuit; None: the executor may place the circuit
    device_qubits: tuple[int, ...] | None = None
    amplitudes: AmplitudeInput | None = None  # the first angles of a row, if any

    @property
    def num_amplitudes(self) -> int:
        """Number of amplitudes of the start state that each sample brings."""
        return 0 if self.amplitudes is None else self.amplitudes.size

    @property
    def num_row_angles(self) -> int:
        """Number of row angles R."""
        return len(self.row_expressions)

    @property
    def num_shared_angles(self) -> int:
        """Number of shared angles O."""
        return len(self.shared_expressions)

    @cached_property
    def rotations(self) -> tuple[Rotation, ...]:
        """All rotations in order."""
        return tuple(step for step in self.steps if isinstance(step, Rotation))

    @cached_property
    def native_gates(self) -> tuple[NativeGate, ...]:
        """Gates with free angles that are not decomposed; they run gate by gate only."""
        return tuple(step for step in self.steps if isinstance(step, NativeGate))

    @cached_property
    def fixed_names(self) -> frozenset[str]:
        """Names of the fixed gates."""
        return frozenset(step.gate.name for step in self.steps if isinstance(step, FixedGate))

    @cached_property
    def shifts(self) -> tuple[tuple[ShiftRule, ...], tuple[ShiftRule, ...]]:
        """Shift rules, pairs (coefficient, shift), of the row angles and of the shared angles."""
        rows = tuple(rule.shifts for rule in self._rules(per_sample=True))
        rows = ((),) * self.num_amplitudes + rows  # amplitudes have a rule of their own
        return rows, tuple(rule.shifts for rule in self._rules(per_sample=False))

    @cached_property
    def row_frequencies(self) -> tuple[frozenset[int], ...]:
        """Frequencies of the outputs in each row angle, in units of 1/2."""
        return tuple(rule.frequencies for rule in self._rules(per_sample=True))

    def _rules(self, *, per_sample: bool) -> Iterator[Family | AngleRule]:
        """Yield the rules of the angles of one table, in the order of the steps."""
        for step in self.steps:
            if isinstance(step, Rotation) and step.per_sample is per_sample:
                yield step.family
            elif isinstance(step, NativeGate):
                yield from (a.rule for a in step.free_angles if a.per_sample is per_sample)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Steps grouped into layers, without barriers and delays."""
        assert not self.native_gates
        steps = [s for s in self.steps if isinstance(s, Rotation) or s.gate.name not in NOT_GATES]
        layers = []
        while steps:  # in turn, fixed gates and rotations that can move to the front
            fixed, steps = take(steps, FixedGate)
            rotations, steps = take(steps, Rotation)
            layers.append(Layer(tuple(fixed), tuple(rotations)))
        return tuple(layers)

    def with_angles_per_sample(self) -> tuple[CircuitProgram, tuple[int, ...]]:
        """Return the program whose angles are all row angles, and where they were before.

        Its angle k was column ``order[k]`` of the row angles and the shared angles, joined.
        """

        def build() -> tuple[CircuitProgram, tuple[int, ...]]:
            order, steps = list(range(self.num_amplitudes)), list[Step]()

            def place(free: Free) -> Free:
                order.append(free.angle + (0 if free.per_sample else self.num_row_angles))
                return replace(free, angle=len(order) - 1, per_sample=True)

            for step in self.steps:
                if isinstance(step, Rotation):
                    steps.append(place(step))
                elif isinstance(step, NativeGate):
                    steps.append(replace(step, free_angles=tuple(map(place, step.free_angles))))
                else:
                    steps.append(step)
            expressions = (*self.row_expressions, *self.shared_expressions)
            program = CircuitProgram(
                self.num_qubits,
                tuple(steps),
                tuple(expressions[column] for column in order),
                (),
                self.rewritten,
                self.device_qubits,
                self.amplitudes,
            )
            return program, tuple(order)

        return self.derived("angles per sample", build)

    @cached_property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal gates, qubits and places of angles, in all processes."""
        numbers = self.num_qubits, self.num_row_angles, self.num_shared_angles
        start = None if self.amplitudes is None else self.amplitudes.qubits
        steps = [step.content() for step in self.steps]
        return digest("gates", numbers, self.device_qubits, start, steps)

    def derived(self, key: Hashable, build: Callable[[], Derived]) -> Derived:
        """Return a value made from the program; it is made once and cached."""
        kept: dict[Hashable, object] = self.__dict__.setdefault("_derived", {})
        if key not in kept:
            kept[key] = build()
        return cast(Derived, kept[key])

    @cached_property
    def body(self) -> Template:
        """Circuit with one parameter per angle; amplitudes have parameters, but no start state."""
        rows = ParameterVector("row", self.num_row_angles)
        shared = ParameterVector("shared", self.num_shared_angles)
        return Template(self._circuit(list(rows), list(shared)), rows, shared)

    @cached_property
    def template(self) -> Template:
        """Circuit with one parameter per angle; amplitudes are prepared by rotations."""
        if self.amplitudes is None:
            return self.body
        start = ParameterVector("start", self.num_amplitudes - 1)
        circuit = QuantumCircuit(self.num_qubits)
        self.amplitudes.append_preparation(circuit, start)
        rows = [*start, *self.body.rows[self.num_amplitudes :]]
        return Template(circuit.compose(self.body.circuit), rows, self.body.shared)

    def template_angles(self, rows: Rows, shared: SharedRows) -> tuple[RowValues, SharedValues]:
        """Return the values of the parameters of `template` [rad]; those of amplitudes first."""
        if self.amplitudes is None:
            return rows, shared
        others = rows[:, self.num_amplitudes :]
        return np.concatenate([self.amplitudes.angles(rows), others], axis=1), shared

    def bind(self, row: Row, shared: SharedRow) -> QuantumCircuit:
        """Return the circuit at these angles [rad]."""
        circuit = self._circuit(row.tolist(), shared.tolist())
        if self.amplitudes is None:
            return circuit
        start = QuantumCircuit(self.num_qubits)
        preparation = self.amplitudes.preparation(self.amplitudes.starts(row[None])[0])
        start.append(preparation, self.amplitudes.qubits)
        return start.compose(circuit)

    simulator_circuit = bind  # lowered gates are gates of simulators

    def working_memory(self) -> int:
        """Return the memory for one sample, in bytes."""
        return BYTES_PER_STATE_AMPLITUDE << self.num_qubits

    def __getstate__(self) -> dict[str, object]:
        # cached values are made again after unpickling
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
