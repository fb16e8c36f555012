r"""The parameter-shift rule: derivatives of circuits from the same circuits at other angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, Readout
from hybridopt.gradients.rule import Evaluation, Memory, Vjp

SHIFT = math.pi / 2  # [rad], for generators with eigenvalues +-1/2


@dataclass(frozen=True)
class ParameterShift:
    r"""Exact derivatives from shifted settings; works on simulators and hardware alike.

    For a rotation :math:`e^{-i\theta P/2}` with :math:`P^2 = I`, or a phase,

    .. math::
        \partial_\theta f(\theta) = \tfrac12 [f(\theta + \tfrac\pi2) - f(\theta - \tfrac\pi2)] ,

    and for a generator with gaps 1/2 and 1 (controlled rotations, XXPlusYY)

    .. math::
        \partial_\theta f = c_+ [f(\theta + \tfrac\pi2) - f(\theta - \tfrac\pi2)]
            - c_- [f(\theta + \tfrac{3\pi}2) - f(\theta - \tfrac{3\pi}2)] , \quad
        c_\pm = \frac{\sqrt2 \pm 1}{4 \sqrt2} .

    All shifts of all samples reach the executor as one table. The table does not depend on what
    the outputs are weighted with, and its values are evaluations themselves: derivatives of any
    order follow, and the rows of a Hessian share their evaluations.

    Where all rotations turn the same qubit under different values of an index (a uniformly
    controlled rotation read out per index), the generators commute, one common shift moves every
    angle at once, and :math:`f(\theta + \pi/2) = -f(\theta - \pi/2)`: one setting,
    `common_shift`, gives the derivative with respect to each of the N angles.

    References:
        Schuld et al., Phys. Rev. A 99, 032331 (2019), arXiv:1811.11184;
        Anselmetti et al., arXiv:2104.05695 (four terms);
        Bowles et al., arXiv:2306.14962 (commuting generators).
    """

    name: ClassVar[str] = "parameter-shift"

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Refuse readouts that are not expectation values."""
        if not readout.is_linear:
            raise UnsupportedError(
                "Post-selected probabilities are ratios, which no shift rule differentiates. Read "
                "the joint probabilities and divide them in torch."
            )

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> None:
        """None: a shift needs nothing of the forward run."""

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Float64[Tensor, "B R"],
        shared: Float64[Tensor, "S O"],
        cotangent: Float64[Tensor, "S B K"],
        needs: tuple[bool, bool],
        memory: Memory | None = None,
    ) -> Vjp:
        """One evaluation of the table of shifts for each of rows and shared angles."""
        by_rows = by_shared = None
        if needs[0]:
            values, terms = self._along_rows(evaluation, rows, shared)
            by_rows = terms.sum_up(torch.einsum("sbk,sbtk->bt", cotangent, values))
        if needs[1]:
            values, terms = self._along_shared(evaluation, rows, shared)
            by_shared = terms.sum_up(torch.einsum("sbk,stbk->st", cotangent, values))
        return by_rows, by_shared

    def jvp(
        self,
        evaluation: Evaluation,
        rows: Float64[Tensor, "B R"],
        shared: Float64[Tensor, "S O"],
        tangents: tuple[Tensor | None, Tensor | None],
    ) -> Float64[Tensor, "S B K"]:
        """The same tables, weighted by the direction."""
        parts = []
        if tangents[0] is not None:
            values, terms = self._along_rows(evaluation, rows, shared)
            parts.append(torch.einsum("bt,sbtk->sbk", terms.weigh(tangents[0]), values))
        if tangents[1] is not None:
            values, terms = self._along_shared(evaluation, rows, shared)
            parts.append(torch.einsum("st,stbk->sbk", terms.weigh(tangents[1]), values))
        return sum(parts[1:], start=parts[0])

    def vjp_of_jvp(
        self,
        evaluation: Evaluation,
        angles: tuple[Tensor, Tensor],
        cotangent: Float64[Tensor, "S B K"],
        direction: Float64[Tensor, "N A"],
        along: int,
        needs: tuple[bool, bool],
    ) -> Vjp:
        """Derivatives of the sum of ``cotangent * jvp`` by rows and by shared angles.

        Args:
            evaluation: What is differentiated.
            angles: Rows and shared angles [rad].
            cotangent: Weights of the outputs.
            direction: Of the jvp, in the rows (``along = 0``) or the shared angles (1).
            along: Which of the two.
            needs: Whether each derivative is wanted.
        """
        moved = list(angles)
        terms = Terms.of(evaluation.program.shifts[along], angles[along])
        table = terms.table(angles[along])
        moved[along] = table.flatten(0, 1)
        pattern = ("sbk,bt->sbtk", "sbk,st->stbk")[along]
        weights = torch.einsum(pattern, cotangent, terms.weigh(direction))
        weights = weights.flatten(1 - along, 2 - along)
        parts = list(self.vjp(evaluation, moved[0], moved[1], weights, needs))
        whole = parts[along]
        if whole is not None:
            parts[along] = torch.unflatten(whole, 0, table.shape[:2]).sum(1)
        return parts[0], parts[1]

    def explain(self, program: CircuitProgram) -> str:
        """How many settings a sample."""
        terms = sum(map(len, program.shifts[1]))
        return (
            f"parameter-shift: {terms} shifts for {program.num_shared_angles} shared angles, as "
            "one table of angles; exact without shots, and differentiable again"
        )

    def common_shift(
        self, theta: Float64[np.ndarray, " N"], order: int
    ) -> Float64[np.ndarray, " N"]:
        r"""Angles whose readout is the derivative of the given order, up to the sign (-1)^order.

        Args:
            theta: Angles of a uniformly controlled rotation [rad], shape ``(N,)``.
            order: 0 reads cos(theta); each order more shifts by another -pi/2, because
                d cos(theta)/d theta = -cos(theta - pi/2).
        """
        return theta - order * SHIFT

    @staticmethod
    def _along_rows(
        evaluation: Evaluation, rows: Tensor, shared: Tensor
    ) -> tuple[Float64[Tensor, "S B T K"], Terms]:
        terms = Terms.of(evaluation.program.shifts[0], rows)
        table = terms.table(rows)
        values = evaluation(table.flatten(0, 1), shared)
        return torch.unflatten(values, 1, table.shape[:2]), terms

    @staticmethod
    def _along_shared(
        evaluation: Evaluation, rows: Tensor, shared: Tensor
    ) -> tuple[Float64[Tensor, "S T B K"], Terms]:
        terms = Terms.of(evaluation.program.shifts[1], shared)
        table = terms.table(shared)
        values = evaluation(rows, table.flatten(0, 1))
        return torch.unflatten(values, 0, table.shape[:2]), terms


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of the shift rules of A angles, T in all.

    Attributes:
        shifts: Row t moves one angle, shape ``(T, A)`` [rad].
        coefficients: Factor of each term in the derivative by its angle, shape ``(T,)``.
        angles: Which angle each term moves, shape ``(T,)``.
    """

    shifts: Float64[Tensor, "T A"]
    coefficients: Float64[Tensor, " T"]
    angles: Int64[Tensor, " T"]

    @staticmethod
    def of(rules: tuple[tuple[tuple[float, float], ...], ...], like: Tensor) -> Terms:
        """Terms of one rule (coefficient, shift), ... an angle, on the device of a tensor."""
        places = np.array([angle for angle, rule in enumerate(rules) for _ in rule], dtype=np.int64)
        pairs = np.array([pair for rule in rules for pair in rule]).reshape(-1, 2)
        shifts = np.zeros((len(places), len(rules)))
        shifts[np.arange(len(places)), places] = pairs[:, 1]
        parts = (torch.from_numpy(part) for part in (shifts, pairs[:, 0].copy(), places))
        return Terms(*(part.to(like.device) for part in parts))

    def table(self, angles: Float64[Tensor, "N A"]) -> Float64[Tensor, "N T A"]:
        """Every row of angles with every shift."""
        return angles.unsqueeze(-2) + self.shifts

    def sum_up(self, sums: Float64[Tensor, "N T"]) -> Float64[Tensor, "N A"]:
        """Derivatives by the angles."""
        empty = sums.new_zeros((len(sums), self.shifts.shape[1]))
        return empty.index_add(-1, self.angles, sums * self.coefficients)

    def weigh(self, tangents: Float64[Tensor, "N A"]) -> Float64[Tensor, "N T"]:
        """Factors of the terms in the derivative along a direction."""
        return tangents.index_select(-1, self.angles) * self.coefficients
