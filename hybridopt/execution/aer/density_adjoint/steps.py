"""Steps of a noisy circuit: transfer matrices of fixed gates, and gates with free angles."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Instruction, Parameter, ParameterExpression

from hybridopt.circuits.gates import AngleRule, angle_rules
from hybridopt.circuits.instructions import NOT_GATES, qubits_of
from hybridopt.errors import UnsupportedError
from hybridopt.execution.aer.density_adjoint.pauli_transfer import (
    Frequencies,
    Matrix,
    positive_frequencies,
    transfer_coefficients,
    transfer_matrix,
)
from hybridopt.execution.aer.density_adjoint.pauli_vectors import Place, apply

WIDEST_GATE = 5  # qubits; the transfer matrix of a sixth qubit would take 128 MB
Terms = tuple[tuple[Parameter, float], ...]


@dataclass(frozen=True, eq=False)
class LinearAngle:
    """Angle of a gate, a constant plus multiples of angles of the program [rad]."""

    constant: float
    terms: Terms


@dataclass(frozen=True, eq=False)
class Step:
    """Linear map of some qubits, ascending; with free angles, a sum over their features."""

    qubits: tuple[int, ...]
    coefficients: Float64[np.ndarray, "F d d"]  # a fixed map has one feature, the number 1
    angles: tuple[LinearAngle, ...] = ()
    frequencies: tuple[Frequencies, ...] = ()  # of each angle
    per_sample: bool = False  # whether an angle differs from sample to sample

    @property
    def matrix(self) -> Matrix:
        """Transfer matrix of a fixed step."""
        assert not self.angles
        return np.asarray(self.coefficients[0])

    def after(self, first: Step) -> Step:
        """Return the step with a fixed step before it, on qubits of this one."""
        turned = self.coefficients.reshape(-1, self.coefficients.shape[-1])
        place = self._place_of(first)
        product = apply(first.matrix.T, turned, place)
        return replace(self, coefficients=product.reshape(self.coefficients.shape))

    def before(self, last: Step) -> Step:
        """Return the step with a fixed step after it, on qubits of this one."""
        columns = self.coefficients.swapaxes(1, 2)
        product = apply(last.matrix, columns.reshape(-1, columns.shape[-1]), self._place_of(last))
        return replace(self, coefficients=product.reshape(columns.shape).swapaxes(1, 2).copy())

    def _place_of(self, part: Step) -> Place:
        return Place.of(tuple(map(self.qubits.index, part.qubits)), len(self.qubits))


class StepReader:
    """Reader of gates and channels, which computes equal matrices once."""

    def __init__(self, row_parameters: Sequence[Parameter]) -> None:
        self._per_sample = frozenset(row_parameters)
        self._matrices: dict[object, np.ndarray] = {}

    def steps(self, circuit: QuantumCircuit) -> list[Step]:
        """Return the steps of a circuit; fixed ones are merged where qubits allow it.

        Raises:
            UnsupportedError: If a gate is too wide, or an angle of it has no shift rule.
        """
        acting = (i for i in circuit.data if i.operation.name not in NOT_GATES and i.qubits)
        return merged([self._step(item, qubits_of(circuit, item)) for item in acting])

    def _step(self, item: CircuitInstruction, qubits: tuple[int, ...]) -> Step:
        gate = item.operation
        if len(qubits) > WIDEST_GATE:
            raise UnsupportedError(
                f"Gate `{gate.name}` must act on at most {WIDEST_GATE} qubits for the adjoint rule "
                f"with noise (got qubits {', '.join(map(str, qubits))}). Decompose it, or use "
                '`gradient="parameter-shift"`.'
            )
        free = [place for place, value in enumerate(gate.params) if _is_free(value)]
        rules = angle_rules(gate) if free else ()
        if rules is None:
            raise UnsupportedError(
                f"Gate `{gate.name}` has no known dependence on its angles, as the adjoint rule "
                "with noise needs. Write the circuit in gates such as rx, ry, rz, rzz, p and u."
            )
        angles = tuple(_linear(gate.params[place], gate.name) for place in free)
        parameters = {parameter for angle in angles for parameter, _ in angle.terms}
        coefficients = self._coefficients(gate, [(place, rules[place]) for place in free])
        order = sorted(range(len(qubits)), key=qubits.__getitem__)
        return Step(
            tuple(qubits[place] for place in order),
            _reordered(coefficients, order),
            angles,
            tuple(positive_frequencies(rules[place]) for place in free),
            not self._per_sample.isdisjoint(parameters),
        )

    def _coefficients(
        self, gate: Instruction, free: list[tuple[int, AngleRule]]
    ) -> Float64[np.ndarray, "F d d"]:
        positions = [position for position, _ in free]
        fixed = [value for place, value in enumerate(gate.params) if place not in positions]
        key = gate.name, *positions, *(_hashable(value) for value in fixed)
        if key not in self._matrices:
            found = transfer_coefficients(gate, free) if free else transfer_matrix(gate)[None]
            self._matrices[key] = found
        return self._matrices[key]


def merged(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with each fixed one merged into a neighbour that has its qubits."""
    kept: dict[int, Step] = {}  # by number, in order
    last: dict[int, int] = {}  # number of the last step of each qubit
    for number, given in enumerate(steps):
        step, qubits = given, set(given.qubits)
        before = {last[qubit] for qubit in qubits if qubit in last}
        for one in before:
            if not step.angles and len(before) == 1 and qubits <= set(kept[one].qubits):
                kept[one] = kept[one].before(step)
                break
            first = kept[one]
            current = all(last[qubit] == one for qubit in first.qubits)
            if current and not first.angles and set(first.qubits) <= qubits:
                step = step.after(kept.pop(one))
        else:
            kept[number] = step
            last.update(dict.fromkeys(qubits, number))
    return list(kept.values())


def _is_free(value: object) -> bool:
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def _hashable(value: object) -> Hashable:
    return value.tobytes() if isinstance(value, np.ndarray) else str(value)


def _linear(angle: ParameterExpression, name: str) -> LinearAngle:
    """Return an angle of a translated gate as a sum over angles of the program."""
    terms = []
    for parameter in angle.parameters:
        slope = angle.gradient(parameter)
        if isinstance(slope, ParameterExpression) and slope.parameters:
            raise UnsupportedError(
                f"Each angle of `{name}` must be linear in the angles of the program for the "
                f'adjoint rule with noise (got {angle}). Use `gradient="parameter-shift"`.'
            )
        terms.append((parameter, float(slope)))
    constant = angle.bind(dict.fromkeys(angle.parameters, 0.0))
    return LinearAngle(float(constant), tuple(terms))


def _reordered(
    coefficients: Float64[np.ndarray, "F d d"], order: list[int]
) -> Float64[np.ndarray, "F d d"]:
    """Return matrices whose local qubit i was the local qubit ``order[i]``."""
    count = len(order)
    if order == list(range(count)):
        return coefficients
    rows = [count - order[place] for place in reversed(range(count))]
    tensor = coefficients.reshape(-1, *(4,) * (2 * count))
    return tensor.transpose(0, *rows, *(count + axis for axis in rows)).reshape(coefficients.shape)
