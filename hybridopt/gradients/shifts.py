"""Derivatives of circuits from the same circuits at shifted angles, each of which is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import StateExecutor
from hybridopt.gradients.base import Evaluation, Outputs, Rows, Shared, Tangents, Vjp

VANISHING = 1e-12  # norm of amplitudes that are 0 up to rounding
BYTES_PER_TABLE = 1 << 28  # size of shifted angles and their outputs; longer tables run in pieces
BYTES_KEPT = 1 << 26  # largest tables that are kept for further rows of a Hessian


class Kept:
    """Tables of one call, for later calls at the same angles, if they are small."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[tuple[Tensor, ShiftTerms]]] = {}

    def tables(
        self, key: Hashable, compute: Callable[[], Iterable[tuple[Tensor, ShiftTerms]]]
    ) -> Iterator[tuple[Tensor, ShiftTerms]]:
        """Yield tables with their terms; they are computed unless those of the key are kept."""
        if key in self._found:
            yield from self._found[key]
            return
        found, size = [], 0
        for table, terms in compute():
            yield table, terms
            size += table.nbytes
            found.append((table, terms))
            if size > BYTES_KEPT:
                found.clear()
        if size <= BYTES_KEPT:
            self._found[key] = found


def shifted_vjp(
    evaluation: Evaluation,
    rows: Rows,
    shared: Shared,
    cotangent: Outputs,
    needs: tuple[bool, bool],
    kept: Kept | None = None,
) -> Vjp:
    """Return derivatives of ``(cotangent * values).sum()`` from one table of shifts per kind.

    Tables in ``kept``, of an earlier call at these angles, are not run again.
    """
    by_rows = by_shared = None
    if needs[0]:
        by_rows = torch.zeros_like(rows)
        for values, terms in _along(evaluation, (rows, shared), 0, kept):
            by_rows = by_rows + terms.sum_up(_contract(values, cotangent, 2).sum(0))
        for slopes, place in amplitude_slopes(evaluation, rows, shared):
            weighed = (slopes * cotangent.unsqueeze(2)).sum((0, 3))
            behind = rows.shape[1] - place - weighed.shape[1]
            by_rows = by_rows + torch.nn.functional.pad(weighed, (place, behind))
    if needs[1]:
        by_shared = torch.zeros_like(shared)
        for values, terms in _along(evaluation, (rows, shared), 1, kept):
            by_shared = by_shared + terms.sum_up(_contract(values, cotangent, 1))
    return by_rows, by_shared


def shifted_jvp(
    evaluation: Evaluation,
    rows: Rows,
    shared: Shared,
    tangents: Tangents,
    kept: Kept | None = None,
) -> Outputs:
    """Return the derivative along a direction from the same tables."""
    outputs = evaluation.readout.num_outputs(evaluation.program)
    result = rows.new_zeros((len(shared), len(rows), outputs))
    if tangents[0] is not None:
        for values, terms in _along(evaluation, (rows, shared), 0, kept):
            weights = terms.weigh(tangents[0]).unsqueeze(0).expand(len(shared), -1, -1)
            result = result + combine(weights, values)
        for slopes, place in amplitude_slopes(evaluation, rows, shared):
            along = tangents[0][:, place : place + slopes.shape[2]]
            result = result + (slopes * along[None, :, :, None]).sum(2)
    if tangents[1] is not None:
        for values, terms in _along(evaluation, (rows, shared), 1, kept):
            result = result + combine(terms.weigh(tangents[1]), values)
    return result


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
    evaluation: Evaluation, angles: tuple[Tensor, Tensor], along: int, kept: Kept | None
) -> Iterator[tuple[Tensor, ShiftTerms]]:
    """Yield values ``(S, B, T, K)`` at shifted rows (0), or ``(S, T, B, K)`` at shared (1)."""

    def computed() -> Iterator[tuple[Tensor, ShiftTerms]]:
        for terms in terms_of(evaluation, angles, along):
            moved, table = terms.move(angles, along)
            yield torch.unflatten(evaluation(*moved), 1 - along, table.shape[:2]), terms

    return computed() if kept is None else kept.tables(along, computed)


# `bmm` instead of `einsum`, which torch cannot batch over the rows of a Hessian.


def _contract(values: Tensor, cotangent: Tensor, axes: int) -> Tensor:
    """Return sums over the last axes, (axes, T, rest) times (axes, rest)."""
    shape = values.shape[: axes + 1]
    matrices = values.reshape(math.prod(shape[:-1]), shape[-1], math.prod(values.shape[axes + 1 :]))
    vectors = cotangent.reshape(len(matrices), matrices.shape[-1], 1)
    return torch.bmm(matrices, vectors).reshape(shape)


def combine(weights: Tensor, values: Tensor) -> Tensor:
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


def terms_of(
    evaluation: Evaluation,
    angles: tuple[Tensor, Tensor],
    along: int,
    moving: Sequence[bool] | None = None,
) -> Iterator[ShiftTerms]:
    """Yield the terms of rows (``along = 0``) or shared angles (1), cut into tables that fit.

    ``moving`` has one flag per angle: False leaves out its terms. None is True for all.
    """
    moved, other = angles[along], angles[1 - along]
    outputs = evaluation.readout.num_outputs(evaluation.program)
    a_term = 8 * len(moved) * (moved.shape[1] + len(other) * outputs)
    rules = evaluation.program.shifts[along]
    if moving is not None:
        rules = tuple(rule if moves else () for rule, moves in zip(rules, moving, strict=True))
    places = np.array([angle for angle, rule in enumerate(rules) for _ in rule], dtype=np.int64)
    pairs = np.array([pair for rule in rules for pair in rule]).reshape(-1, 2)
    shifts = np.zeros((len(places), len(rules)))
    shifts[np.arange(len(places)), places] = pairs[:, 1]
    size = max(1, table_size(evaluation) // max(1, a_term))
    arrays = shifts, pairs[:, 0].copy(), places
    whole = [torch.from_numpy(array).to(moved.device) for array in arrays]
    for start in range(0, len(places), size):
        yield ShiftTerms(*(part[start : start + size] for part in whole))


def shifts_per_cell(program: CircuitProgram, needs: tuple[bool, bool]) -> int:
    """Return the number of circuits at other angles for the derivative of one circuit."""
    kinds = zip(needs, program.shifts, strict=True)
    shifts = sum(len(terms) for wanted, angles in kinds if wanted for terms in angles)
    return shifts + 2 * program.num_amplitudes * needs[0]
