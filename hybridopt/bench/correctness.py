r"""Dense twin of a problem, and the comparison of simulators with it before they are timed.

The twin computes values and gradient in numpy. Gates are the matrices of Qiskit, and their
derivatives are finite differences of these matrices, exact to about 1e-13. No gate and no gradient
rule of a simulator is used.

The deviation of an exact result is its largest error, relative to the largest possible value of
the sum of the outputs.

The deviation of a result with N shots is given in units of an upper bound of its standard error.
The bound is :math:`c / \sqrt N` for a value of one sample, where c is its largest possible value.
For the derivative with respect to weight j it is

.. math::
    \frac{c}{B \sqrt{2 N}} \sqrt{\sum_b s_{bj}^2}.

Here :math:`s_{bj}^2` is the sum of the squared derivatives of the angles of sample b with respect
to weight j. A shift rule multiplies its settings by coefficients whose squares sum to at most 1/2.

SPSA has an error due to its random directions, too. It is at most
:math:`\sqrt 3 \sum_b |v_b| s_{bj}`, where :math:`v_b` is the gradient of sample b with respect to
its angles; the fourth moment of random signs is at most 3. With a perturbation of size c, the
error due to shots is :math:`\sqrt 3 / c` times larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.circuit.library import get_standard_gate_name_mapping

from hybridopt.bench.peers.competitor import RANDOM, Competitor
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, angle_function, flatten
from hybridopt.gradients.spsa import SHOTS_PERTURBATION

MAX_STANDARD_ERRORS = 5.0  # largest deviation of a sampled result that passes
EXACT_UNIT, SHOTS_UNIT = "relative", "standard errors"
STANDARD = frozenset(get_standard_gate_name_mapping())
States = Complex128[np.ndarray, "B dim"]
Matrices = Complex128[np.ndarray, "_ d d"]
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
    steps = [_step(part, problem, x, w) for part in flatten(problem.circuit, _has_matrix)]
    states = np.zeros((len(x), 2**problem.num_qubits), dtype=complex)
    states[:, 0] = 1
    for qubits, matrix, _ in steps:
        states = _apply(states, matrix, qubits)
    images = [(op.to_matrix(sparse=True) @ states.T).T for op in problem.observables]
    values = np.stack([np.einsum("bi,bi->b", states.conj(), im).real for im in images], axis=1)
    gradient = np.zeros((len(x), len(w)))
    slopes = np.zeros_like(gradient)
    steepness = np.zeros(len(x))
    costates = np.sum(images, axis=0)
    for qubits, matrix, derivatives in reversed(steps):
        inverse = matrix.conj().swapaxes(1, 2)
        states = _apply(states, inverse, qubits)
        for derivative, by_weights in derivatives:
            moved = _apply(states, derivative, qubits)
            by_angle = 2 * np.einsum("bi,bi->b", costates.conj(), moved).real
            gradient += by_angle[:, None] * by_weights
            slopes += by_weights**2
            steepness += by_angle**2
        costates = _apply(costates, inverse, qubits)
    return Reference(values, gradient.mean(0), np.sqrt(slopes), np.sqrt(steepness))


def _has_matrix(part: PlacedGate) -> bool:
    known = part.name in STANDARD if part.free else hasattr(part.gate, "__array__")
    return known and len(part.qubits) <= LARGEST_GATE


def _step(
    part: PlacedGate, problem: Problem, x: np.ndarray, w: np.ndarray
) -> tuple[tuple[int, ...], Matrices, list[tuple[Matrices, np.ndarray]]]:
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


@dataclass(frozen=True)
class Deviation:
    """Deviation of a result from the dense twin, and the largest deviation that passes."""

    size: float  # in `unit`
    allowed: float  # in `unit`
    unit: str  # EXACT_UNIT or SHOTS_UNIT

    @property
    def agrees(self) -> bool:
        """Whether the result may be timed; False for NaN."""
        return self.size <= self.allowed


def deviation_from_twin(
    competitor: Competitor,
    problem: Problem,
    twin: Reference,
    values: np.ndarray,
    gradient: np.ndarray,
) -> Deviation:
    """Compare a result with the dense twin; the deviation of a wrong shape is infinite."""
    random = competitor.kind == RANDOM
    sampled = problem.shots is not None
    unit = SHOTS_UNIT if sampled or random else EXACT_UNIT
    allowed = MAX_STANDARD_ERRORS if unit == SHOTS_UNIT else competitor.tolerance
    if np.shape(values) != twin.values.shape or np.shape(gradient) != twin.gradient.shape:
        return Deviation(math.inf, allowed, unit)
    value_error = problem.scale / math.sqrt(problem.shots) if problem.shots else problem.scale
    gradient_error = np.full(len(twin.gradient), problem.scale)
    if unit == SHOTS_UNIT:
        gradient_error = _standard_errors(problem, twin, random=random)
        if not sampled:
            value_error = competitor.tolerance * problem.scale / MAX_STANDARD_ERRORS
    # the bound is zero for an angle without influence, but rounding errors remain
    gradient_error = np.maximum(gradient_error, competitor.tolerance * problem.scale)
    by_value = np.abs(values - twin.values) / value_error
    by_gradient = np.abs(gradient - twin.gradient) / gradient_error
    largest = np.concatenate([by_value.ravel(), by_gradient]).max()  # NaN stays NaN
    return Deviation(float(largest), allowed, unit)


def _standard_errors(problem: Problem, twin: Reference, *, random: bool) -> np.ndarray:
    batch, count = len(twin.values), problem.shots or math.inf
    root: np.ndarray = np.sqrt((twin.slopes**2).sum(0))
    shots = problem.scale / (batch * math.sqrt(2 * count)) * root
    directions = (twin.steepness[:, None] * twin.slopes).sum(0) / batch
    return math.sqrt(3) * (directions + shots / SHOTS_PERTURBATION) if random else shots
