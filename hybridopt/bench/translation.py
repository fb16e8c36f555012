"""Circuits for other simulators: gates that they know, and angles in any library of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter, ParameterExpression
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.errors import CircuitError

Array: TypeAlias = Any  # a torch tensor, a jax array, a numpy array
Angle: TypeAlias = Callable[[Array, Array], Array]  # of inputs (..., I) and weights (P,)
WITHOUT_EFFECT = frozenset({"barrier", "id", "delay", "global_phase"})
SAME_NAME = ("abs", "cos", "exp", "log", "sign", "sin", "sqrt", "tan")
OTHER_NAMES = {
    "Abs": "abs", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "conjugate": "conj",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlacedGate:
    """One gate.

    Attributes:
        gate: With numbers and expressions as parameters.
        qubits: As the gate counts them, the first one least significant in its matrix.
    """

    gate: Instruction
    qubits: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the gate, as Qiskit spells it."""
        return str(self.gate.name)

    @property
    def free(self) -> list[ParameterExpression]:
        """Angles that are not numbers."""
        return [value for value in self.gate.params if is_free(value)]


def is_free(value: object) -> bool:
    """Return whether a gate's parameter depends on inputs or weights."""
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def flatten(circuit: QuantumCircuit, known: Callable[[PlacedGate], bool]) -> list[PlacedGate]:
    """Return all gates in order; what ``known`` refuses is replaced by its definition.

    Raises:
        CircuitError: If a gate is neither known nor defined.
    """
    if any(not isinstance(item.operation, Instruction) for item in circuit.data):
        circuit = PassManager([HighLevelSynthesis()]).run(circuit)  # annotated gates, Cliffords
    return list(_flatten(circuit, tuple(range(circuit.num_qubits)), known))


def _flatten(
    circuit: QuantumCircuit, qubits: tuple[int, ...], known: Callable[[PlacedGate], bool]
) -> Iterator[PlacedGate]:
    place = dict(zip(circuit.qubits, qubits, strict=True))
    for item in circuit.data:
        part = PlacedGate(item.operation, tuple(place[qubit] for qubit in item.qubits))
        if part.name in WITHOUT_EFFECT:
            continue
        if known(part):
            yield part
            continue
        definition = _euler(part.gate) if part.name == "u" else part.gate.definition
        if definition is None:
            raise CircuitError(
                f"Gate `{part.name}` on qubits {', '.join(map(str, part.qubits))} has no "
                "translation and no definition."
            )
        yield from _flatten(definition, part.qubits, known)


def _euler(gate: Instruction) -> QuantumCircuit:
    """U by rotations; the global phase that is left out cannot be observed."""
    theta, phi, lam = gate.params
    circuit = QuantumCircuit(1)
    circuit.rz(lam, 0)
    circuit.ry(theta, 0)
    circuit.rz(phi, 0)
    return circuit


def pauli_terms(observable: SparsePauliOp) -> Iterator[tuple[dict[int, str], float]]:
    """Yield each Pauli string, as letters by qubit without identities, with its coefficient."""
    for label, coefficient in zip(
        observable.paulis.to_labels(), observable.coeffs.real.tolist(), strict=True
    ):
        yield {qubit: one for qubit, one in enumerate(label[::-1]) if one != "I"}, coefficient


def array_functions(library: Any) -> dict[str, object]:
    """Return the functions of numpy, torch or jax.numpy by their names in sympy."""
    names = {**dict(zip(SAME_NAME, SAME_NAME, strict=True)), **OTHER_NAMES}
    return {"pi": math.pi, **{name: getattr(library, own) for name, own in names.items()}}


def angle_function(
    value: float | ParameterExpression,
    inputs: Sequence[Parameter],
    weights: Sequence[Parameter],
    functions: Mapping[str, object],
) -> Angle:
    """Return a gate's parameter as a function of inputs and weights.

    Args:
        value: A number or an expression.
        inputs: Columns of the first argument.
        weights: Entries of the second.
        functions: The library's functions, see `array_functions`.

    Returns:
        A function of inputs ``(..., I)`` and weights ``(P,)``; its shape is that of the samples
        where an input is involved, else a scalar. Numbers stay numbers.
    """
    if not isinstance(value, ParameterExpression) or not value.parameters:
        number = float(value)
        return lambda _x, _w: number
    pick = {parameter: _column(i) for i, parameter in enumerate(inputs)}
    pick |= {parameter: _entry(i) for i, parameter in enumerate(weights)}
    variables = sorted(value.parameters, key=lambda parameter: parameter.name)
    slopes = [_number(value.gradient(parameter)) for parameter in variables]
    if any(slope is None for slope in slopes):
        return _nonlinear(value, [(variable, pick[variable]) for variable in variables], functions)
    offset = float(value.bind(dict.fromkeys(variables, 0.0)))
    return _linear([(pick[v], s) for v, s in zip(variables, slopes, strict=True) if s], offset)


def _linear(terms: Sequence[tuple[Angle, float | None]], offset: float) -> Angle:
    def angle(x: Array, w: Array) -> Array:
        total: Array = offset or None
        for pick, slope in terms:
            term = pick(x, w) if slope == 1 else slope * pick(x, w)
            total = term if total is None else total + term
        return 0.0 if total is None else total

    return angle


def _nonlinear(
    value: ParameterExpression,
    variables: Sequence[tuple[Parameter, Angle]],
    functions: Mapping[str, object],
) -> Angle:
    import sympy  # importing it changes the warning filters; few circuits need it

    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    symbols = [variable.sympify() for variable, _ in variables]
    formula = value.sympify().subs(dict(zip(symbols, stand_ins, strict=True))).evalf()
    if formula.has(sympy.I):
        raise CircuitError(f"Angle `{value}` is complex. Angles must be real.")
    unknown = {str(f.func) for f in formula.atoms(sympy.Function)} - set(functions)
    if unknown:
        raise CircuitError(
            f"Angle `{value}` has functions that are not translated: {', '.join(sorted(unknown))}."
        )
    function = sympy.lambdify(stand_ins, formula, modules=[dict(functions)])
    return lambda x, w: function(*(pick(x, w) for _, pick in variables))


def _column(number: int) -> Angle:
    return lambda x, _w: x[..., number]


def _entry(number: int) -> Angle:
    return lambda _x, w: w[number]


def _number(value: object) -> float | None:
    if not isinstance(value, ParameterExpression):
        number = complex(value)  # type: ignore[call-overload]
    elif value.parameters:
        return None
    else:
        number = complex(value.numeric())
    if number.imag:
        raise CircuitError("An angle is complex. Angles must be real.")
    return float(number.real)
