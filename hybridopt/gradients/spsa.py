"""Simultaneous perturbation (SPSA): estimate of the whole gradient from two settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridopt import _validation
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Readout
from hybridopt.gradients.base import Evaluation, GradientRule, Outputs, Rows, Shared, Tangents, Vjp
from hybridopt.gradients.shifts import table_size

EXACT_PERTURBATION = 0.01  # [rad]; the bias is of second order in it
SHOTS_PERTURBATION = 0.2  # [rad]; shot noise of the estimate grows as 1 / perturbation
STREAM = 0x5B5A  # separates the directions from the shots, which use the same seed


@dataclass(frozen=True)
class Spsa(GradientRule):
    r"""Central difference along random directions :math:`\Delta_j = \pm 1`.

    .. math::
        \partial_j f \approx \Delta_j \,
            \frac{f(\theta + c \Delta) - f(\theta - c \Delta)}{2 c}

    An estimate costs two settings per sample and direction for any number of angles. Its mean is
    the gradient with a bias of order :math:`c^2`. The standard deviation of one component is about
    the norm of all others. The directions depend on the seed and on the executor's position in its
    random stream: a resumed run draws the same directions again, and no two steps share them.
    Second derivatives are differences of such estimates in the same directions.

    Attributes:
        perturbation: Step c [rad]; None for 0.01 in exact simulation and 0.2 with shots.
        directions: Number of random directions in the average.
        seed: Seed of the directions; None for the seed of the executor.

    References:
        Spall, IEEE Trans. Autom. Control 37, 332 (1992).

    Example:
        >>> from hybridopt.gradients import Spsa
        >>> import torch, hybridopt as ho
        >>> rule = Spsa(directions=3, seed=0)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("strongly_entangling"), gradient=rule)
        >>> layer(torch.rand(1, layer.in_features)).sum().backward()
        >>> layer.executor.usage.settings  # one, and two per direction
        7
    """

    name: ClassVar[str] = "spsa"

    perturbation: float | None = None
    directions: int = 1
    seed: int | None = None

    def __post_init__(self) -> None:
        _validation.optional_real("perturbation", self.perturbation, minimum=0, strict=True)
        _validation.integer("directions", self.directions, minimum=1)
        _validation.optional_integer("seed", self.seed, minimum=0)

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Accept every circuit, readout and executor."""

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> None:
        """Return None, as a perturbation does not use the forward run."""

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Rows,
        shared: Shared,
        cotangent: Outputs,
        needs: tuple[bool, bool],
        memory: ForwardRecord | None = None,
    ) -> Vjp:
        """Return the average over the directions."""
        by_rows, by_shared = torch.zeros_like(rows), torch.zeros_like(shared)
        for delta, slope in self._directions(evaluation, (rows, shared), needs):
            weighted = (cotangent * slope).sum(-1) / self.directions
            by_rows = by_rows + weighted.sum(0)[:, None] * delta[0]
            by_shared = by_shared + weighted.sum(1)[:, None] * delta[1]
        return (by_rows if needs[0] else None, by_shared if needs[1] else None)

    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the same estimate of the gradient along a direction."""
        needs = (tangents[0] is not None, tangents[1] is not None)
        result = torch.zeros(())
        for delta, slope in self._directions(evaluation, (rows, shared), needs):
            if tangents[0] is not None:
                result = result + (tangents[0] * delta[0]).sum(-1)[None, :, None] * slope
            if tangents[1] is not None:
                result = result + (tangents[1] * delta[1]).sum(-1)[:, None, None] * slope
        return result / self.directions

    def explain(self, program: CircuitProgram) -> str:
        """Return the number of settings in words."""
        return (
            f"spsa: {2 * self.directions} settings per sample for any number of angles, in one job "
            "unless inputs and weights need derivatives together; a random estimate"
        )

    def _directions(
        self, evaluation: Evaluation, angles: tuple[Tensor, Tensor], needs: tuple[bool, bool]
    ) -> Iterator[tuple[tuple[Tensor, Tensor], Outputs]]:
        """Yield directions in rows and shared angles, and the derivatives along them."""
        sequence = self._sequence(evaluation)
        generator = np.random.default_rng(sequence)
        # second derivatives are differences of derivatives, which must have the same directions
        evaluation = evaluation.with_seed(int(sequence.spawn(1)[0].generate_state(1)[0]))
        exact = evaluation.executor.shots is None
        c = self.perturbation or (EXACT_PERTURBATION if exact else SHOTS_PERTURBATION)
        # a table has all pairs of rows and shared angles, and one direction per evaluation if it is
        # differentiated again
        in_tables = needs != (True, True) and not torch.is_grad_enabled()
        size = _directions_per_table(evaluation, angles, needs) if in_tables else 1
        for start in range(0, self.directions, size):
            count = min(size, self.directions - start)
            deltas = [_draw(generator, angles, needs) for _ in range(count)]
            if in_tables:
                slopes = _slopes_of_table(evaluation, angles, deltas, c, int(not needs[0]))
            else:
                slopes = [_slope(evaluation, angles, delta, c) for delta in deltas]
            yield from zip(deltas, slopes, strict=True)

    def _sequence(self, evaluation: Evaluation) -> np.random.SeedSequence:
        if evaluation.seed is not None:
            return np.random.SeedSequence(evaluation.seed)
        position = evaluation.executor.state_dict()
        entropy = int(position["entropy"], 16) if self.seed is None else self.seed
        return np.random.SeedSequence(entropy, spawn_key=(STREAM, int(position["calls"])))


def _draw(
    generator: np.random.Generator, angles: tuple[Tensor, Tensor], needs: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Return a random direction; zeros for angles without derivatives."""
    delta = [torch.zeros_like(table) for table in angles]
    for place in np.flatnonzero(needs):
        signs = 2.0 * generator.integers(0, 2, tuple(delta[place].shape)) - 1.0
        delta[place] = torch.from_numpy(signs).to(delta[place].device)
    return delta[0], delta[1]


def _slope(
    evaluation: Evaluation, angles: tuple[Tensor, Tensor], delta: tuple[Tensor, Tensor], c: float
) -> Outputs:
    """Return the central difference along a direction from two evaluations."""
    pairs = list(zip(angles, delta, strict=True))
    high, low = (evaluation(*(table + step * d for table, d in pairs)) for step in (c, -c))
    return (high - low) / (2 * c)


def _slopes_of_table(
    evaluation: Evaluation,
    angles: tuple[Tensor, Tensor],
    deltas: list[tuple[Tensor, Tensor]],
    c: float,
    along: int,
) -> list[Outputs]:
    """Return central differences along directions of rows (0) or shared angles (1), in one job."""
    moved = [angles[along] + step * delta[along] for step in (c, -c) for delta in deltas]
    table = torch.cat(moved)
    values = evaluation(angles[0], table) if along else evaluation(table, angles[1])
    high, low = values.chunk(2, dim=1 - along)
    return list(((high - low) / (2 * c)).chunk(len(deltas), dim=1 - along))


def _directions_per_table(
    evaluation: Evaluation, angles: tuple[Tensor, Tensor], needs: tuple[bool, bool]
) -> int:
    """Return the number of directions whose angles and outputs fit into one table."""
    moved, other = angles if needs[0] else angles[::-1]
    outputs = evaluation.readout.num_outputs(evaluation.program)
    bytes_of_one = 2 * 8 * len(moved) * (moved.shape[1] + len(other) * outputs)
    return max(1, table_size(evaluation) // max(1, bytes_of_one))
