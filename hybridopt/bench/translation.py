"""Translation of circuits for other simulators: supported gates, and angles as functions."""

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
from hybridopt.circuits.errors import CircuitError

Array: TypeAlias = Any  # a torch tensor, a jax array, a numpy array
Angle: TypeAlias = Callable[[Array, Array], Array]  # inputs (..., I), weights (P,) -> radians
WITHOUT_EFFECT = frozenset({"barrier", "id", "delay", "global_phase"})
FUNCTIONS = {  # name in sympy: name in numpy, torch and jax.numpy
    **{name: name for name in ("abs", "cos", "exp", "log", "sign", "sin", "sqrt", "tan")},
    "Abs": "abs", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "conjugate": "conj",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlacedGate:
    """Gate of a circuit, and its qubits."""

    gate: Instruction  # with numbers and expressions as parameters
    qubits: tuple[int, ...]  # in the order of the gate: the first is its least significant

    @property
    def name(self) -> str:
        """Name of the gate in Qiskit."""
        return str(self.gate.name)

    @property
    def free(self) -> dict[int, ParameterExpression]:
        """Angles that depend on inputs or weights, by their position in the gate."""
        given = enumerate(self.gate.params)
        return {n: v for n, v in given if isinstance(v, ParameterExpression) and v.parameters}


def flatten(
    circuit: QuantumCircuit, known: Callable[[PlacedGate], bool], qubits: Sequence[int] = ()
) -> list[PlacedGate]:
    """Return all gates in order; each unknown gate is replaced by its definition."""
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
                f"Gate `{part.name}` on qubits {', '.join(map(str, part.qubits))} must have a "
                "translation or a definition. Replace it, or define it by other gates."
            )
        gates += flatten(definition, known, part.qubits)
    return gates


def _euler(gate: Instruction) -> QuantumCircuit:
    """Return U as rotations, without its global phase, which cannot be observed."""
    theta, phi, lam = gate.params
    circuit = QuantumCircuit(1)
    circuit.rz(lam, 0)
    circuit.ry(theta, 0)
    circuit.rz(phi, 0)
    return circuit


def pauli_terms(observable: SparsePauliOp) -> Iterator[tuple[dict[int, str], float]]:
    """Yield each Pauli string as ``{qubit: letter}`` without identities, and its coefficient."""
    for label, coefficient in zip(
        observable.paulis.to_labels(), observable.coeffs.real.tolist(), strict=True
    ):
        yield {qubit: one for qubit, one in enumerate(label[::-1]) if one != "I"}, coefficient


def angle_function(
    value: float | ParameterExpression, problem: Problem, library: Any, wrt: Parameter | None = None
) -> Angle:
    """Return an angle as a function of inputs ``(..., I)`` and weights ``(P,)``.

    The function returns one angle per sample if the angle depends on an input, otherwise a scalar.
    The library is numpy, torch or jax.numpy. With ``wrt``, a parameter of the angle, return the
    derivative with respect to it instead.
    """
    if not isinstance(value, ParameterExpression) or not value.parameters:
        number = float(value)
        return lambda _x, _w: number
    import sympy  # the import changes the warning filters, and few programs need it

    num_inputs = len(problem.inputs)
    places = {one: place for place, one in enumerate((*problem.inputs, *problem.weights))}
    variables = sorted(value.parameters, key=lambda parameter: parameter.name)
    stand_ins = [sympy.Symbol(f"v{number}", real=True) for number in range(len(variables))]
    symbols = [variable.sympify() for variable in variables]
    formula = value.sympify().subs(dict(zip(symbols, stand_ins, strict=True))).evalf()
    if formula.has(sympy.I):
        raise CircuitError(f"Angle `{value}` must be real (got a complex formula).")
    if wrt is not None:  # sympify() of Qiskit's own derivative can be wrong (2.6.2)
        formula = formula.diff(stand_ins[variables.index(wrt)])
    functions = {name: getattr(library, own) for name, own in FUNCTIONS.items()}
    function = sympy.lambdify(stand_ins, formula, modules=[{"pi": math.pi, **functions}])

    def entry(variable: Parameter, x: Array, w: Array) -> Array:
        place = places[variable]
        return x[..., place] if place < num_inputs else w[place - num_inputs]

    return lambda x, w: function(*(entry(variable, x, w) for variable in variables))
