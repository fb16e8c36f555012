"""Circuits for other simulators: gates that they know, and angles in any library of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter, ParameterExpression
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.bench.problem import Problem
from hybridopt.errors import CircuitError

Array: TypeAlias = Any  # a torch tensor, a jax array, a numpy array
Angle: TypeAlias = Callable[[Array, Array], Array]  # of inputs (..., I) and weights (P,)
WITHOUT_EFFECT = frozenset({"barrier", "id", "delay", "global_phase"})
FUNCTIONS = {  # names in sympy: those in numpy, torch and jax.numpy
    **{name: name for name in ("abs", "cos", "exp", "log", "sign", "sin", "sqrt", "tan")},
    "Abs": "abs", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "conjugate": "conj",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlacedGate:
    """One gate of a circuit."""

    gate: Instruction  # with numbers and expressions as parameters
    qubits: tuple[int, ...]  # as the gate counts them, the first least significant in its matrix

    @property
    def name(self) -> str:
        """Name of the gate, as Qiskit spells it."""
        return str(self.gate.name)

    @property
    def free(self) -> dict[int, ParameterExpression]:
        """Angles that depend on inputs or weights, by their place."""
        given = enumerate(self.gate.params)
        return {n: v for n, v in given if isinstance(v, ParameterExpression) and v.parameters}


def flatten(
    circuit: QuantumCircuit, known: Callable[[PlacedGate], bool], qubits: Sequence[int] = ()
) -> list[PlacedGate]:
    """Return all gates in order, on given qubits; unknown ones as their definitions."""
    if any(not isinstance(item.operation, Instruction) for item in circuit.data):
        circuit = PassManager([HighLevelSynthesis()]).run(circuit)  # annotated gates, Cliffords
    place = dict(zip(circuit.qubits, qubits or range(circuit.num_qubits), strict=True))
    gates: list[PlacedGate] = []
    for item in circuit.data:
        part = PlacedGate(item.operation, tuple(place[qubit] for qubit in item.qubits))
        if part.name in WITHOUT_EFFECT:
            continue
        if known(part):
            gates.append(part)
            continue
        definition = _euler(part.gate) if part.name == "u" else part.gate.definition
        if definition is None:
            raise CircuitError(
                f"Gate `{part.name}` on qubits {', '.join(map(str, part.qubits))} has no "
                "translation and no definition."
            )
        gates += flatten(definition, known, part.qubits)
    return gates


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


def angle_function(
    value: float | ParameterExpression,
    problem: Problem,
    library: Any,
    derivative: Parameter | None = None,
) -> Angle:
    """Return a gate's parameter as a function of inputs ``(..., I)`` and weights ``(P,)``.

    Its shape is that of the samples where an input is involved, else a scalar; numbers stay
    numbers. The library is numpy, torch or jax.numpy. With a parameter of the formula as
    ``derivative``, its derivative with respect to this parameter is returned.
    """
    if not isinstance(value, ParameterExpression) or not value.parameters:
        number = float(value)
        return lambda _x, _w: number
    import sympy  # importing it changes the warning filters; few programs need it

    num_inputs = len(problem.inputs)
    places = {one: place for place, one in enumerate((*problem.inputs, *problem.weights))}
    variables = sorted(value.parameters, key=lambda parameter: parameter.name)
    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    symbols = [variable.sympify() for variable in variables]
    formula = value.sympify().subs(dict(zip(symbols, stand_ins, strict=True))).evalf()
    if formula.has(sympy.I):
        raise CircuitError(f"Angle `{value}` is complex. Angles must be real.")
    if derivative is not None:  # Qiskit's own derivative may become another formula in sympy (2.6)
        formula = formula.diff(stand_ins[variables.index(derivative)])
    functions = {name: getattr(library, own) for name, own in FUNCTIONS.items()}
    function = sympy.lambdify(stand_ins, formula, modules=[{"pi": math.pi, **functions}])

    def entry(variable: Parameter, x: Array, w: Array) -> Array:
        place = places[variable]
        return x[..., place] if place < num_inputs else w[place - num_inputs]

    return lambda x, w: function(*(entry(variable, x, w) for variable in variables))


def angle_functions(part: PlacedGate, problem: Problem, library: Any) -> list[Angle]:
    """Return all parameters of a gate as functions, in numpy, torch or jax.numpy."""
    return [angle_function(value, problem, library) for value in part.gate.params]
