"""Parameter-shift rule: derivatives of circuits from the same circuits at other angles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
from jaxtyping import Float64

from hybridopt import _validation
from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, ForwardRecord, Readout, StateExecutor
from hybridopt.gradients.base import Evaluation, GradientRule, Outputs, Rows, Shared, Tangents, Vjp
from hybridopt.gradients.shifts import shifted_jvp, shifted_vjp, terms_of
from hybridopt.gradients.state_vjp import Backward, check_states, record_of

SHIFT = math.pi / 2  # [rad], for generators with eigenvalues +-1/2
SIMULATIONS = ("settings", "sweep")
PASSES_WITH_NOISE = (  # of the adjoint rule
    "Both passes, of density matrices and of observables, are computed in numpy (CPU, double "
    "precision) and not by Aer"
)
SWEEP = 'ParameterShift(simulate="sweep")'  # in error messages


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

    With ``simulate="sweep"``, the differences come from a backward run, as in `Adjoint`, and no
    shifted circuit runs. Gradients agree to rounding errors. Settings are counted as hardware would
    run them, and runs as they were run. It needs exact states: shots, other methods of simulation
    and hardware are refused. Single values at shifted angles do not exist then, so the memory
    bridge refuses it, too. Forward mode and stacks of cotangents run the shifted circuits.

    Attributes:
        simulate: ``"settings"`` to run every shifted circuit, or ``"sweep"``.

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

    simulate: Literal["settings", "sweep"] = "settings"

    def __post_init__(self) -> None:
        _validation.choice("simulate", self.simulate, SIMULATIONS)

    @property
    def runs_backward(self) -> bool:
        """Whether a backward run gives the differences, so that no shifted circuit runs."""
        return self.simulate == "sweep"

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise UnsupportedError for outputs that are not expectation values.

        A sweep needs an executor with exact states, too, which can count settings.
        """
        check_linear(readout)
        if self.runs_backward:
            check_states(program, readout, executor, SWEEP)
            _check_differences(program, readout, executor)

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> ForwardRecord | None:
        """Return None, as a shift does not use the forward run; a sweep does."""
        if not self.runs_backward:
            return None
        record = record_of(evaluation, needs, SWEEP)
        _check_differences(evaluation.program, evaluation.readout, evaluation.executor)
        return record

    def inference_memory(self, evaluation: Evaluation) -> ForwardRecord | None:
        """Return for a sweep with noise the evaluation of training, so that values are the same."""
        executor = evaluation.executor
        exact = isinstance(executor, StateExecutor) and executor.holds_states
        if self.runs_backward and exact and executor.has_noise:
            return self.memory(evaluation, (False, False))
        return None

    def tables(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, needs: tuple[bool, bool]
    ) -> Iterator[tuple[Rows, Shared]]:
        """Yield the tables of shifted angles; those of amplitudes run when they are requested."""
        for along in [] if self.runs_backward else np.flatnonzero(needs).tolist():
            for terms in terms_of(evaluation, (rows, shared), along):
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
        """Evaluate one table of shifts for rows and one for shared angles, or run back once."""
        if self.runs_backward:
            back = Backward(needs, counts_shifts=True)
            return back.vjp(evaluation, rows, shared, cotangent, memory)
        return shifted_vjp(evaluation, rows, shared, cotangent, needs)

    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the same tables, weighted by the direction; a sweep has no forward mode."""
        return shifted_jvp(evaluation, rows, shared, tangents)

    def explain(self, program: CircuitProgram) -> str:
        """Return the number of shifts in words."""
        of_rows, of_shared = (sum(map(len, rules)) for rules in program.shifts)
        shifts = (
            f"{of_shared} shifts for {program.num_shared_angles} shared angles and {of_rows} for "
            f"{program.num_row_angles - program.num_amplitudes} angles of each "
            f"sample{_amplitudes_in_words(program)}"
        )
        if self.runs_backward:
            return (
                f"parameter-shift, simulated by a sweep: {shifts}, each counted as a setting, as "
                "hardware would run it; one forward and one backward run give all differences, "
                "and no shifted circuit runs. Second derivatives by shifts of these differences, "
                "in one batch"
            )
        return (
            f"parameter-shift: {shifts}, one job for each kind; "
            "exact without shots, and differentiable again"
        )

    def explain_for(self, evaluation: Evaluation) -> str:
        """Return the number of shifts, and a faster rule if there is one for exact noise."""
        text, executor = self.explain(evaluation.program), evaluation.executor
        if self.runs_backward:
            return f"{text}. {PASSES_WITH_NOISE}" if executor.has_noise else text
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


def check_linear(readout: Readout) -> None:
    """Raise UnsupportedError for outputs that are not expectation values."""
    if not readout.is_linear:
        raise UnsupportedError(
            "Post-selected probabilities are ratios, which shift rules cannot differentiate. "
            "Read the joint probabilities, and divide them in torch."
        )


def _check_differences(program: CircuitProgram, readout: Readout, executor: Executor) -> None:
    """Raise UnsupportedError if a sweep does not give the differences, or cannot be counted."""
    if getattr(executor, "method", None) == "matrix_product_state":
        raise UnsupportedError(
            f"`gradient={SWEEP}` must have states that are not truncated (got {executor!r}). Use "
            '`gradient="parameter-shift"`, or an executor with method "automatic".'
        )
    cast(StateExecutor, executor).count_settings(program, readout, 0)


def _amplitudes_in_words(program: CircuitProgram) -> str:
    count = program.num_amplitudes
    return f" and {2 * count} for {count} amplitudes of each sample" if count else ""
