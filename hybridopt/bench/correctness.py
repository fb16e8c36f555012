r"""The dense twin, and the comparison of simulators with it before they are timed.

The twin is values and gradient of a problem by numpy alone. It shares no gate, rule or angle
formula with what it checks: gates are Qiskit's matrices, their derivatives finite differences of
these matrices (exact to about 1e-13), and states are carried forth and back by matrix products.

Exact results are compared with the dense twin; the deviation is that of the worst number, relative
to the largest value that the sum of the outputs can take.

Of results with N shots, the deviation is counted in standard errors that are never exceeded: a
value of one sample has at most :math:`c / \sqrt N` (c its largest value), the derivative by weight
j at most

.. math::
    \frac{c}{B \sqrt{2 N}} \sqrt{\sum_b s_{bj}^2},

where :math:`s_{bj}^2` sums the squared slopes of sample b's angles by weight j: a shift rule
weighs its settings by coefficients whose squares sum to one half at most.

SPSA's estimate varies by random directions too: by at most :math:`\sqrt 3 \sum_b |v_b| s_{bj}`,
with :math:`v_b` the gradient of sample b's share by its angles (a fourth moment of random signs is
at most 3), and its shots count :math:`\sqrt 3 / c` times as much for a perturbation of c.
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

MAX_STANDARD_ERRORS = 5.0
EXACT_UNIT, SHOTS_UNIT = "relative", "standard errors"
STANDARD = frozenset(get_standard_gate_name_mapping())
States = Complex128[np.ndarray, "B dim"]
Matrices = Complex128[np.ndarray, "_ d d"]
LARGEST_GATE = 4  # qubits
STEP = 0.02  # [rad]; the error of the difference below is STEP^6 / 140, rounding 1e-16 / STEP
WEIGHTS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))  # central difference of sixth order


@dataclass(frozen=True)
class Reference:
    """The values and derivatives that a simulator has to find."""

    values: Float64[np.ndarray, "B K"]  # outputs of every sample
    gradient: Float64[np.ndarray, " P"]  # of the mean over the samples of the sum of the outputs
    slopes: Float64[np.ndarray, "B P"]  # norm of one sample's angles, differentiated by a weight
    steepness: Float64[np.ndarray, " B"]  # norm of one sample's gradient by its angles


def reference(
    problem: Problem, x: Float64[np.ndarray, "B I"], w: Float64[np.ndarray, " P"]
) -> Reference:
    """Return values and gradient at inputs x and weights w.

    Example:
        >>> from hybridopt.bench.problem import ladder
        >>> twin = reference(ladder(2, 2), np.zeros((1, 2)), np.array([0.3, 0.5]))
        >>> bool(np.isclose(twin.values[0, 0], np.cos(0.5)))  # ZZ after CX is Z of qubit 1 before
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
    """Qubits and matrix of a gate, and derivatives by its angles with those of its angles."""
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
    """The gate's matrix for every sample, or one for all."""
    if not part.free:
        return np.asarray(part.gate.to_matrix(), dtype=complex)[None]
    gate, matrices = part.gate.to_mutable(), []
    for row in zip(*np.broadcast_arrays(*angles), strict=True):
        gate.params = [float(angle) for angle in row]
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


@dataclass(frozen=True)
class Deviation:
    """The deviation of a result, and the deviation that passes."""

    size: float  # in `unit`
    allowed: float  # likewise
    unit: str  # EXACT_UNIT or SHOTS_UNIT

    @property
    def agrees(self) -> bool:
        """Whether the result may be timed; NaN may not."""
        return self.size <= self.allowed


def deviation_from_twin(
    competitor: Competitor,
    problem: Problem,
    twin: Reference,
    values: np.ndarray,
    gradient: np.ndarray,
) -> Deviation:
    """Compare a result with the dense twin's; a wrong shape deviates without bound."""
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
    # an angle without influence has no error at all: rounding is allowed for
    gradient_error = np.maximum(gradient_error, competitor.tolerance * problem.scale)
    by_value = np.abs(values - twin.values) / value_error
    by_gradient = np.abs(gradient - twin.gradient) / gradient_error
    largest = np.concatenate([by_value.ravel(), by_gradient]).max()  # NaN stays NaN
    return Deviation(float(largest), allowed, unit)


def _standard_errors(problem: Problem, twin: Reference, *, random: bool) -> np.ndarray:
    batch, count = len(twin.values), problem.shots or math.inf
    root = np.sqrt((twin.slopes**2).sum(0))
    shots: np.ndarray = problem.scale / (batch * math.sqrt(2 * count)) * root
    directions = (twin.steepness[:, None] * twin.slopes).sum(0) / batch
    return math.sqrt(3) * (directions + shots / SHOTS_PERTURBATION) if random else shots
