"""Parameter-shift rule: derivatives of circuits from the same circuits at other angles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, ForwardRecord, Readout, StateExecutor
from hybridopt.gradients.base import Evaluation, GradientRule, Outputs, Rows, Shared, Tangents, Vjp

SHIFT = math.pi / 2  # [rad], for generators with eigenvalues +-1/2
VANISHING = 1e-12  # norm of amplitudes that are 0 up to rounding
BYTES_PER_TABLE = 1 << 28  # size of shifted angles and their outputs; longer tables run in pieces


@dataclass(frozen=True)
class ParameterShift(GradientRule):
    r"""Exact derivatives from shifted settings, on simulators and on hardware.

    For a rotation :math:`e^{-i\theta P/2}` with :math:`P^2 = I`, or a phase,

    .. math::
        \partial_\theta f(\theta) = \tfrac12 [f(\theta + \tfrac\pi2) - f(\theta - \tfrac\pi2)] ,

    and for a generator with gaps 1/2 and 1 (controlled rotations, XXPlusYY)

    .. math::
        \partial_\theta f = c_+ [f(\theta + \tfrac\pi2) - f(\theta - \tfrac\pi2)]
            - c_- [f(\theta + \tfrac{3\pi}2) - f(\theta - \tfrac{3\pi}2)] , \quad
        c_\pm = \frac{\sqrt2 \pm 1}{4 \sqrt2} .

    All shifts of all samples reach the executor as one table, or as several beyond 256 MB. The
    table does not depend on the weights of the outputs. Its values are evaluations, too, so that
    derivatives of any order are possible, and the rows of a Hessian share their evaluations.

    A uniformly controlled rotation, read out per value of its index, has commuting generators.
    One common shift then moves all N angles, and :math:`f(\theta + \pi/2) = -f(\theta - \pi/2)`.
    One setting, at `common_shift`, gives the derivatives with respect to all angles.

    References:
        Schuld et al., Phys. Rev. A 99, 032331 (2019), arXiv:1811.11184;
        Anselmetti et al., arXiv:2104.05695 (four terms);
        Bowles et al., arXiv:2306.14962 (commuting generators).

    Example:
        >>> from hybridopt.gradients import ParameterShift
        >>> import torch, hybridopt as ho
        >>> circuit = ho.load_circuit("strongly_entangling")
        >>> layer = ho.CircuitLayer(*circuit, gradient=ParameterShift())
        >>> layer(torch.rand(1, layer.in_features)).sum().backward()
        >>> layer.executor.usage.settings == 1 + 2 * layer.weight.numel()
        True
    """

    name: ClassVar[str] = "parameter-shift"

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise UnsupportedError for outputs that are not expectation values."""
        if not readout.is_linear:
            raise UnsupportedError(
                "Post-selected probabilities are ratios, which shift rules cannot differentiate. "
                "Read the joint probabilities, and divide them in torch."
            )

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> None:
        """Return None, as a shift does not use the forward run."""

    def tables(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, needs: tuple[bool, bool]
    ) -> Iterator[tuple[Rows, Shared]]:
        """Yield the tables of shifted angles; those of amplitudes run when they are requested."""
        for along in np.flatnonzero(needs).tolist():
            for terms in _terms(evaluation, (rows, shared), along):
                yield terms.move((rows, shared), along)[0]

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Rows,
        shared: Shared,
        cotangent: Outputs,
        needs: tuple[bool, bool],
        memory: ForwardRecord | None = None,
    ) -> Vjp:
        """Evaluate one table of shifts for rows and one for shared angles."""
        by_rows = by_shared = None
        if needs[0]:
            by_rows = torch.zeros_like(rows)
            for values, terms in _along(evaluation, (rows, shared), 0):
                by_rows = by_rows + terms.sum_up(_contract(values, cotangent, 2).sum(0))
            for slopes, place in amplitude_slopes(evaluation, rows, shared):
                weighed = (slopes * cotangent.unsqueeze(2)).sum((0, 3))
                behind = rows.shape[1] - place - weighed.shape[1]
                by_rows = by_rows + torch.nn.functional.pad(weighed, (place, behind))
        if needs[1]:
            by_shared = torch.zeros_like(shared)
            for values, terms in _along(evaluation, (rows, shared), 1):
                by_shared = by_shared + terms.sum_up(_contract(values, cotangent, 1))
        return by_rows, by_shared

    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the same tables, weighted by the direction."""
        outputs = evaluation.readout.num_outputs(evaluation.program)
        result = rows.new_zeros((len(shared), len(rows), outputs))
        if tangents[0] is not None:
            for values, terms in _along(evaluation, (rows, shared), 0):
                weights = terms.weigh(tangents[0]).unsqueeze(0).expand(len(shared), -1, -1)
                result = result + _combine(weights, values)
            for slopes, place in amplitude_slopes(evaluation, rows, shared):
                along = tangents[0][:, place : place + slopes.shape[2]]
                result = result + (slopes * along[None, :, :, None]).sum(2)
        if tangents[1] is not None:
            for values, terms in _along(evaluation, (rows, shared), 1):
                result = result + _combine(terms.weigh(tangents[1]), values)
        return result

    def vjp_of_jvp(
        self,
        evaluation: Evaluation,
        angles: tuple[Tensor, Tensor],
        cotangent: Outputs,
        directions: Tangents,
        needs: tuple[bool, bool],
    ) -> Vjp:
        """Return derivatives of ``(cotangent * jvp).sum()`` for rows and for shared angles."""
        totals = [torch.zeros_like(table) for table in angles]
        for along, direction in enumerate(directions):
            if direction is None:
                continue
            for terms in _terms(evaluation, angles, along):
                moved, table = terms.move(angles, along)
                weighed = terms.weigh(direction)[(..., *(None,) * (1 + along))]  # (B T 1) (S T 1 1)
                shape = [*cotangent.shape]
                shape[1 - along] = len(moved[along])
                weights = (cotangent.unsqueeze(2 - along) * weighed).reshape(shape)
                for place, part in enumerate(self.vjp(evaluation, *moved, weights, needs)):
                    if part is not None:
                        summed = part.reshape(table.shape).sum(1) if place == along else part
                        totals[place] = totals[place] + summed
        return (totals[0] if needs[0] else None, totals[1] if needs[1] else None)

    def explain(self, program: CircuitProgram) -> str:
        """Return the number of shifts in words."""
        of_rows, of_shared = (sum(map(len, rules)) for rules in program.shifts)
        return (
            f"parameter-shift: {of_shared} shifts for {program.num_shared_angles} shared angles "
            f"and {of_rows} for {program.num_row_angles - program.num_amplitudes} angles of each "
            f"sample{_amplitudes_in_words(program)}, one job for each kind; "
            "exact without shots, and differentiable again"
        )

    def explain_for(self, evaluation: Evaluation) -> str:
        """Return the number of shifts, and a faster rule if there is one for exact noise."""
        text, executor = self.explain(evaluation.program), evaluation.executor
        exact = isinstance(executor, StateExecutor) and executor.holds_states
        if not (exact and executor.has_noise) or evaluation.program.amplitudes is not None:
            return text
        return f'{text}. For exact noise, gradient="adjoint" gives equal gradients much faster'

    def common_shift(
        self, theta: Float64[np.ndarray, " N"], order: int
    ) -> Float64[np.ndarray, " N"]:
        r"""Return angles [rad] at which cos reads its derivative of that order times (-1)^order.

        Each order shifts by -pi/2, because d cos(theta)/d theta = -cos(theta - pi/2).
        """
        return theta - order * SHIFT


def amplitude_slopes(
    evaluation: Evaluation, rows: Rows, shared: Shared
) -> Iterator[tuple[Float64[Tensor, "S B N K"], int]]:
    r"""Yield derivatives with respect to amplitudes, and the place of the first of them.

    An output is a quadratic form of the amplitudes, :math:`Q(a) = |a|^2 f(a / |a|)`, so that
    :math:`\partial_k Q(a) = \tfrac12 [Q(a + e_k) - Q(a - e_k)]` is exact. The rows must be
    normalized in torch before: the part of the derivative along a has no effect then.
    """
    count = evaluation.program.num_amplitudes
    outputs = evaluation.readout.num_outputs(evaluation.program)
    bytes_of_one = 16 * len(rows) * (rows.shape[1] + len(shared) * outputs)
    size = max(1, table_size(evaluation) // max(1, bytes_of_one))
    amplitudes, angles = rows.tensor_split([count], dim=-1)
    for first in range(0, count, size):
        steps = torch.eye(count, dtype=rows.dtype, device=rows.device)[first : first + size]
        moved = amplitudes.unsqueeze(1) + torch.cat([steps, -steps])
        lengths = torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
        gone = lengths < VANISHING  # Q is 0 there, for any state
        moved = torch.where(gone, steps[:1], moved) / torch.where(gone, 1.0, lengths)
        others = angles.unsqueeze(1).expand(-1, moved.shape[1], -1)
        table = torch.cat([moved, others], dim=-1)
        values = torch.unflatten(evaluation(table.flatten(0, 1), shared), 1, table.shape[:2])
        above, below = (torch.where(gone, 0.0, lengths**2) * values).chunk(2, dim=2)
        yield (above - below) / 2, first


def table_size(evaluation: Evaluation) -> int:
    """Return the size of a table of shifted angles and their outputs [bytes]."""
    # With shots, the size is fixed: each piece draws its own noise, and a seed must give the same
    # numbers on machines with different memory.
    executor = evaluation.executor
    if executor.shots is not None or not isinstance(executor, StateExecutor):
        return BYTES_PER_TABLE
    return min(BYTES_PER_TABLE, executor.max_memory // 8)


def _along(
    evaluation: Evaluation, angles: tuple[Tensor, Tensor], along: int
) -> Iterator[tuple[Tensor, ShiftTerms]]:
    """Yield values ``(S, B, T, K)`` at shifted rows (0), or ``(S, T, B, K)`` at shared (1)."""
    for terms in _terms(evaluation, angles, along):
        moved, table = terms.move(angles, along)
        yield torch.unflatten(evaluation(*moved), 1 - along, table.shape[:2]), terms


# `bmm` instead of `einsum`, which torch cannot batch over the rows of a Hessian.


def _contract(values: Tensor, cotangent: Tensor, axes: int) -> Tensor:
    """Return sums over the last axes, (axes, T, rest) times (axes, rest)."""
    shape = values.shape[: axes + 1]
    matrices = values.reshape(math.prod(shape[:-1]), shape[-1], math.prod(values.shape[axes + 1 :]))
    vectors = cotangent.reshape(len(matrices), matrices.shape[-1], 1)
    return torch.bmm(matrices, vectors).reshape(shape)


def _combine(weights: Tensor, values: Tensor) -> Tensor:
    """Return sums over the terms, (axes, T) times (axes, T, rest)."""
    axes, terms = weights.shape[:-1], weights.shape[-1]
    rest = values.shape[len(axes) + 1 :]
    vectors = weights.reshape(math.prod(axes), 1, terms)
    matrices = values.reshape(len(vectors), terms, math.prod(rest))
    return torch.bmm(vectors, matrices).reshape(*axes, *rest)


@dataclass(frozen=True, eq=False)
class ShiftTerms:
    """T terms of the shift rules of A angles."""

    shifts: Float64[Tensor, "T A"]  # row t moves one angle [rad]
    coefficients: Float64[Tensor, " T"]  # factors in the derivative
    angles: Int64[Tensor, " T"]  # moved by each term

    def move(
        self, angles: tuple[Tensor, Tensor], along: int
    ) -> tuple[tuple[Tensor, Tensor], Float64[Tensor, "N T A"]]:
        """Return both kinds of angles with one kind shifted, and the table of shifted angles."""
        table = angles[along].unsqueeze(-2) + self.shifts
        rows = table.flatten(0, 1)
        return ((angles[0], rows) if along else (rows, angles[1])), table

    def sum_up(self, sums: Float64[Tensor, "N T"]) -> Float64[Tensor, "N A"]:
        """Return derivatives with respect to the angles."""
        empty = sums.new_zeros((len(sums), self.shifts.shape[1]))
        return empty.index_add(-1, self.angles, sums * self.coefficients)

    def weigh(self, tangents: Float64[Tensor, "N A"]) -> Float64[Tensor, "N T"]:
        """Return factors of the terms in the derivative along a direction."""
        return tangents.index_select(-1, self.angles) * self.coefficients


def _terms(
    evaluation: Evaluation, angles: tuple[Tensor, Tensor], along: int
) -> Iterator[ShiftTerms]:
    """Yield the terms of rows (``along = 0``) or shared angles (1), cut into tables that fit."""
    moved, other = angles[along], angles[1 - along]
    outputs = evaluation.readout.num_outputs(evaluation.program)
    a_term = 8 * len(moved) * (moved.shape[1] + len(other) * outputs)
    rules = evaluation.program.shifts[along]
    places = np.array([angle for angle, rule in enumerate(rules) for _ in rule], dtype=np.int64)
    pairs = np.array([pair for rule in rules for pair in rule]).reshape(-1, 2)
    shifts = np.zeros((len(places), len(rules)))
    shifts[np.arange(len(places)), places] = pairs[:, 1]
    size = max(1, table_size(evaluation) // max(1, a_term))
    arrays = shifts, pairs[:, 0].copy(), places
    whole = [torch.from_numpy(array).to(moved.device) for array in arrays]
    for start in range(0, len(places), size):
        yield ShiftTerms(*(part[start : start + size] for part in whole))


def _amplitudes_in_words(program: CircuitProgram) -> str:
    count = program.num_amplitudes
    return f" and {2 * count} for {count} amplitudes of each sample" if count else ""
