r"""The dense twin: values and gradient of a problem by numpy alone, to check every simulator with.

It shares no gate, rule or angle formula with what it checks: gates are Qiskit's matrices, their
derivatives finite differences of these matrices (exact to about 1e-13), and states are carried
forth and back by matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.circuit.library import get_standard_gate_name_mapping

from hybridopt.bench.expressions import NUMPY_FUNCTIONS, angle_function
from hybridopt.bench.flattening import Part, flatten, is_free
from hybridopt.bench.problem import Problem

States = Complex128[np.ndarray, "B dim"]
Matrices = Complex128[np.ndarray, "_ d d"]
LARGEST_GATE = 4  # qubits
STEP = 0.02  # [rad]; the error of the difference below is STEP^6 / 140, rounding 1e-16 / STEP
WEIGHTS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))  # central difference of sixth order


@dataclass(frozen=True)
class Reference:
    """What a simulator has to find.

    Attributes:
        values: Outputs of every sample, shape ``(B, K)``.
        gradient: Of the mean over the samples of the sum of the outputs, shape ``(P,)``.
        slopes: Root of the summed squares of the derivatives of one sample's angles by each
            weight, shape ``(B, P)``.
        steepness: Norm of one sample's gradient by its angles, shape ``(B,)``.
    """

    values: Float64[np.ndarray, "B K"]
    gradient: Float64[np.ndarray, " P"]
    slopes: Float64[np.ndarray, "B P"]
    steepness: Float64[np.ndarray, " B"]


@dataclass(frozen=True)
class _Step:
    """One gate at given angles; matrices have one entry for all samples, or one for each."""

    qubits: tuple[int, ...]
    matrix: Matrices
    derivatives: tuple[tuple[Matrices, Float64[np.ndarray, "_ P"]], ...]


def reference(
    problem: Problem, x: Float64[np.ndarray, "B I"], w: Float64[np.ndarray, " P"]
) -> Reference:
    """Values and gradient at inputs x and weights w.

    Example:
        >>> from hybridopt.bench.problem import ladder
        >>> twin = reference(ladder(2, 2), np.zeros((1, 2)), np.array([0.3, 0.5]))
        >>> bool(np.isclose(twin.values[0, 0], np.cos(0.5)))  # ZZ after CX is Z of qubit 1 before
        True
    """
    steps = [_step(part, problem, x, w) for part in flatten(problem.circuit, _has_matrix)]
    states = np.zeros((len(x), 2**problem.num_qubits), dtype=complex)
    states[:, 0] = 1
    for step in steps:
        states = _apply(states, step.matrix, step.qubits)
    images = [(op.to_matrix(sparse=True) @ states.T).T for op in problem.observables]
    values = np.stack([np.einsum("bi,bi->b", states.conj(), im).real for im in images], axis=1)
    gradient = np.zeros((len(x), len(w)))
    slopes = np.zeros_like(gradient)
    steepness = np.zeros(len(x))
    costates = np.sum(images, axis=0)
    for step in reversed(steps):
        inverse = step.matrix.conj().swapaxes(1, 2)
        states = _apply(states, inverse, step.qubits)
        for matrix, by_weights in step.derivatives:
            moved = _apply(states, matrix, step.qubits)
            by_angle = 2 * np.einsum("bi,bi->b", costates.conj(), moved).real
            gradient += by_angle[:, None] * by_weights
            slopes += by_weights**2
            steepness += by_angle**2
        costates = _apply(costates, inverse, step.qubits)
    return Reference(values, gradient.mean(0), np.sqrt(slopes), np.sqrt(steepness))


def _has_matrix(part: Part) -> bool:
    if len(part.qubits) > LARGEST_GATE:
        return False
    if part.free:
        return part.name in _STANDARD
    return hasattr(part.gate, "__array__")


_STANDARD = frozenset(get_standard_gate_name_mapping())


def _step(part: Part, problem: Problem, x: np.ndarray, w: np.ndarray) -> _Step:
    given = problem.inputs, problem.weights
    angles = [
        np.atleast_1d(angle_function(value, *given, NUMPY_FUNCTIONS)(x, w)) if is_free(value)
        else value
        for value in part.gate.params
    ]  # fmt: skip
    derivatives = []
    for place, value in enumerate(part.gate.params):
        used = [j for j, weight in enumerate(problem.weights) if _depends(value, weight)]
        if not used:
            continue
        by_weights = np.zeros((len(x), len(w)))
        for j in used:
            slope = angle_function(value.gradient(problem.weights[j]), *given, NUMPY_FUNCTIONS)
            by_weights[:, j] = slope(x, w)
        derivatives.append((_derivative(part, angles, place), by_weights))
    return _Step(part.qubits, _matrices(part, angles), tuple(derivatives))


def _depends(value: object, parameter: Parameter) -> bool:
    return isinstance(value, ParameterExpression) and parameter in value.parameters


def _derivative(part: Part, angles: Sequence[Any], place: int) -> Matrices:
    def shifted(step: float) -> Matrices:
        moved = list(angles)
        moved[place] = angles[place] + step
        return _matrices(part, moved)

    total = np.zeros_like(shifted(0.0))
    for count, factor in WEIGHTS:
        total += factor / STEP * (shifted(count * STEP) - shifted(-count * STEP))
    return total


def _matrices(part: Part, angles: Sequence[Any]) -> Matrices:
    """The gate's matrix for every sample, or one for all."""
    if not part.free:
        return np.asarray(part.gate.to_matrix(), dtype=complex)[None]
    gate = part.gate.to_mutable()
    size = max(len(angle) for angle in angles if isinstance(angle, np.ndarray))
    matrices = []
    for row in range(size):
        gate.params = [
            float(angle[row if len(angle) > 1 else 0]) if isinstance(angle, np.ndarray) else angle
            for angle in angles
        ]
        matrices.append(gate.to_matrix())
    return np.asarray(matrices, dtype=complex)


def _apply(states: States, matrices: Matrices, qubits: tuple[int, ...]) -> States:
    """Matrices on some qubits of all states; axis n - q of the unfolded states is qubit q."""
    size = states.shape[1].bit_length() - 1
    axes = [size - qubit for qubit in reversed(qubits)]
    front = list(range(1, len(qubits) + 1))
    unfolded = np.moveaxis(states.reshape(-1, *(2,) * size), axes, front)
    result = matrices @ unfolded.reshape(len(states), 2 ** len(qubits), -1)
    moved: States = np.moveaxis(result.reshape(unfolded.shape), front, axes)
    return moved.reshape(states.shape)
