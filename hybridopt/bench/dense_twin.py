"""Dense twin of a problem: values and gradient in numpy, without gates or rules of a simulator.

Gates are the matrices of Qiskit, and their derivatives are finite differences of these matrices,
exact to about 1e-13. With noise, the twin runs density matrices of one sample after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.circuit.library import get_standard_gate_name_mapping

from hybridopt.bench.noise import depolarizing_superoperator, gates_and_noise
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, angle_function, flatten

STANDARD = frozenset(get_standard_gate_name_mapping())
States = Complex128[np.ndarray, "B dim"]
Matrices = Complex128[np.ndarray, "_ d d"]
Derivatives: TypeAlias = list[tuple[Any, np.ndarray]]  # d(matrix)/d(angle), d(angle)/d(weights)
LARGEST_GATE = 4  # qubits
STEP = 0.02  # [rad]; the error of the difference below is STEP^6 / 140, rounding 1e-16 / STEP
WEIGHTS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))  # central difference of sixth order


@dataclass(frozen=True)
class Reference:
    """Values and derivatives that a simulator should return."""

    values: Float64[np.ndarray, "B K"]  # outputs of every sample
    gradient: Float64[np.ndarray, " P"]  # of the sum of outputs, averaged over the samples
    slopes: Float64[np.ndarray, "B P"]  # norm of d(angles)/d(weight), per sample and weight
    steepness: Float64[np.ndarray, " B"]  # norm of d(outputs)/d(angles), per sample


def reference(
    problem: Problem, x: Float64[np.ndarray, "B I"], w: Float64[np.ndarray, " P"]
) -> Reference:
    """Return values and gradient at inputs x and weights w, both in radians.

    Example:
        >>> from hybridopt.bench.problem import ladder
        >>> twin = reference(ladder(2, 2), np.zeros((1, 2)), np.array([0.3, 0.5]))
        >>> bool(np.isclose(twin.values[0, 0], np.cos(0.5)))  # CX maps ZZ to Z of qubit 1
        True
    """
    if problem.noise is not None:
        return _noisy_reference(problem, x, w)
    steps = [_step(part, problem, x, w) for part in flatten(problem.circuit, _has_matrix)]
    states = np.zeros((len(x), 2**problem.num_qubits), dtype=complex)
    states[:, 0] = 1
    for qubits, matrix, _ in steps:
        states = _apply(states, matrix, qubits)
    images = [(op.to_matrix(sparse=True) @ states.T).T for op in problem.observables]
    values = np.stack([np.einsum("bi,bi->b", states.conj(), im).real for im in images], axis=1)
    sums = _Sums(np.zeros((len(x), len(w))))
    costates = np.sum(images, axis=0)
    for qubits, matrix, derivatives in reversed(steps):
        inverse = matrix.conj().swapaxes(1, 2)
        states = _apply(states, inverse, qubits)
        for derivative, by_weights in derivatives:
            moved = _apply(states, derivative, qubits)
            sums.add(2 * np.einsum("bi,bi->b", costates.conj(), moved).real, by_weights)
        costates = _apply(costates, inverse, qubits)
    return sums.reference(values)


def _noisy_reference(problem: Problem, x: np.ndarray, w: np.ndarray) -> Reference:
    """Run density matrices as vectors of 2n qubits, the columns being the last n, per sample."""
    assert problem.noise is not None
    size, parts = problem.num_qubits, list(gates_and_noise(problem, _has_matrix))
    columns = [op.to_matrix(sparse=True).toarray().T.ravel() for op in problem.observables]
    values, sums = np.zeros((len(x), len(columns))), _Sums(np.zeros((len(x), len(w))))
    noise = {
        len(part): depolarizing_superoperator(problem.noise, len(part))[None] + 0j
        for part in parts
        if not isinstance(part, PlacedGate)
    }
    for sample in range(len(x)):
        states = np.zeros((1, 4**size), dtype=complex)
        states[0, 0] = 1
        steps = []
        for part in parts:
            qubits, matrix, derivatives = (
                _superoperators(*_step(part, problem, x[sample : sample + 1], w))
                if isinstance(part, PlacedGate)
                else (part, noise[len(part)], [])
            )
            doubled = *qubits, *(qubit + size for qubit in qubits)
            steps.append((doubled, matrix, derivatives, states))
            states = _apply(states, matrix, doubled)
        values[sample] = [np.vdot(column, states).real for column in columns]
        costates = np.sum(columns, axis=0)[None]
        for qubits, matrix, derivatives, before in reversed(steps):
            for derivative, by_weights in derivatives:
                moved = _apply(before, derivative, qubits)
                sums.add(np.vdot(costates, moved).real, by_weights, sample)
            costates = _apply(costates, matrix.conj().swapaxes(1, 2), qubits)
    return sums.reference(values)


class _Sums:
    """Sums over all angles of the quantities of a `Reference`."""

    def __init__(self, zeros: np.ndarray) -> None:
        self.gradient, self.slopes, self.steepness = zeros, zeros.copy(), zeros.sum(1)

    def add(self, by_angle: Any, by_weights: np.ndarray, sample: int | None = None) -> None:
        """Add an angle with d(outputs)/d(angle) and d(angle)/d(weights), of one or all samples."""
        rows = slice(None) if sample is None else slice(sample, sample + 1)
        by_angle = np.atleast_1d(by_angle)
        self.gradient[rows] += by_angle[:, None] * by_weights
        self.slopes[rows] += by_weights**2
        self.steepness[rows] += by_angle**2

    def reference(self, values: np.ndarray) -> Reference:
        """Return the reference with these values."""
        roots = np.sqrt(self.slopes), np.sqrt(self.steepness)
        return Reference(values, self.gradient.mean(0), *roots)


def _superoperators(
    qubits: tuple[int, ...], matrix: Matrices, derivatives: Derivatives
) -> tuple[tuple[int, ...], Complex128[np.ndarray, "_ d2 d2"], Derivatives]:
    """Return the same step for density matrices as vectors."""

    def pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.kron(left[0].conj(), right[0])[None]

    doubled = [(pair(one, matrix) + pair(matrix, one), rows) for one, rows in derivatives]
    return qubits, pair(matrix, matrix), doubled


def _has_matrix(part: PlacedGate) -> bool:
    known = part.name in STANDARD if part.free else hasattr(part.gate, "__array__")
    return known and len(part.qubits) <= LARGEST_GATE


def _step(
    part: PlacedGate, problem: Problem, x: np.ndarray, w: np.ndarray
) -> tuple[tuple[int, ...], Matrices, Derivatives]:
    """Return qubits, matrices, and pairs of d(matrix)/d(angle) and d(angle)/d(weights)."""
    angles, derivatives = list(part.gate.params), []
    for place, value in part.free.items():
        angles[place] = np.atleast_1d(angle_function(value, problem, np)(x, w))
    for place, value in part.free.items():
        by_weights = np.zeros((len(x), len(w)))
        for j, weight in enumerate(problem.weights):
            if weight in value.parameters:
                by_weights[:, j] = angle_function(value, problem, np, weight)(x, w)
        if not value.parameters.isdisjoint(problem.weights):
            derivatives.append((_derivative(part, angles, place), by_weights))
    return part.qubits, _matrices(part, angles), derivatives


def _derivative(part: PlacedGate, angles: Sequence[Any], place: int) -> Matrices:
    def shifted(step: float) -> Matrices:
        return _matrices(part, [*angles[:place], angles[place] + step, *angles[place + 1 :]])

    pairs = (f / STEP * (shifted(n * STEP) - shifted(-n * STEP)) for n, f in WEIGHTS)
    return sum(pairs, start=np.zeros(1, complex))


def _matrices(part: PlacedGate, angles: Sequence[Any]) -> Matrices:
    """Return the matrix of a gate for every sample, or one for all samples."""
    if not part.free:
        return np.asarray(part.gate.to_matrix(), dtype=complex)[None]
    gate, matrices = part.gate.to_mutable(), []
    for row in zip(*np.broadcast_arrays(*angles), strict=True):
        gate.params = [float(angle) for angle in row]
        matrices.append(gate.to_matrix())
    return np.asarray(matrices, dtype=complex)


def _apply(states: States, matrices: Matrices, qubits: tuple[int, ...]) -> States:
    """Apply matrices to qubits; axis n - q of the reshaped states belongs to qubit q."""
    size = states.shape[1].bit_length() - 1
    axes = [size - qubit for qubit in reversed(qubits)]
    front = list(range(1, len(qubits) + 1))
    unfolded = np.moveaxis(states.reshape(-1, *(2,) * size), axes, front)
    result = matrices @ unfolded.reshape(len(states), 2 ** len(qubits), -1)
    moved: States = np.moveaxis(result.reshape(unfolded.shape), front, axes)
    return moved.reshape(states.shape)
