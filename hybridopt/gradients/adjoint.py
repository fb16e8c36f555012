"""Adjoint rule: vector-Jacobian products of a batch in two runs of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Readout, StateExecutor
from hybridopt.gradients.base import Evaluation, GradientRule, Outputs, Rows, Shared, Tangents, Vjp
from hybridopt.gradients.parameter_shift import check_linear
from hybridopt.gradients.shifts import shifted_jvp
from hybridopt.gradients.state_vjp import Backward, check_states, record_of

NAMED = '"adjoint"'  # in error messages


@dataclass(frozen=True)
class Adjoint(GradientRule):
    r"""Exact first derivatives in exact simulation, from a backward run of the circuit.

    Let :math:`|\phi\rangle` be the final state and :math:`|\lambda\rangle = \sum_k g_k O_k
    |\phi\rangle`. Both are run back to the rotation :math:`V e^{-i \theta_j D_j} V^\dagger`. Then

    .. math::
        \partial_j \sum_k g_k \langle O_k \rangle
            = 2 \, \mathrm{Im} \langle \lambda | V D_j V^\dagger | \phi \rangle .

    With noise, :math:`\rho` before each rotation takes the place of :math:`|\phi\rangle`, and the
    observable, taken back through the adjoint maps of gates and channels, that of
    :math:`|\lambda\rangle`. Aer then runs neither pass: transfer matrices of the translated circuit
    in the Pauli basis are applied in numpy. Values equal those of Aer to 1e-12. No other rule is as
    fast for training with exact noise. Errors must not depend on angles.

    With matrix product states, both states are matrix product states in Aer, and numpy contracts
    them. Derivatives are as exact as the values: exact without truncation. With
    ``max_bond_dimension`` or ``truncation``, both passes truncate, and the error is of the order of
    the square root of the discarded weight (`AerExecutor.discarded_weight`, of the last pass). The
    bond dimension of :math:`|\lambda\rangle` is up to w times that of :math:`|\phi\rangle`, where
    w is that of the observable: 1 for a Pauli string, 2 for sums of letters on single qubits.

    The cost does not grow with the number of angles. A backward run is not a setting, because
    hardware cannot run it. A second derivative is the parameter-shift rule for this gradient: all
    shifted gradients run as one batch, two per angle, and all rows of a Hessian share them. So do
    derivatives of higher order.

    References:
        Jones and Gacon, arXiv:2009.02823.

    Example:
        >>> from hybridopt.gradients import Adjoint
        >>> import torch, hybridopt as ho
        >>> layer = ho.CircuitLayer(*ho.load_circuit("strongly_entangling"), gradient=Adjoint())
        >>> layer(torch.rand(8, layer.in_features)).sum().backward()
        >>> layer.executor.usage.runs  # forward and back
        2
    """

    name: ClassVar[str] = "adjoint"

    @property
    def runs_backward(self) -> bool:
        """Whether the derivative is computed by a backward run of the simulator; always."""
        return True

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise an error for executors without exact states, and for errors that need angles."""
        check_linear(readout)
        check_states(program, readout, executor, NAMED)

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> ForwardRecord:
        """Return an evaluation that keeps its states for the derivative."""
        return record_of(evaluation, needs, NAMED)

    def inference_memory(self, evaluation: Evaluation) -> ForwardRecord | None:
        """Return the evaluation of training with noise, so that values are the same."""
        executor = evaluation.executor
        if isinstance(executor, StateExecutor) and executor.holds_states and executor.has_noise:
            return self.memory(evaluation, (False, False))
        return None

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Rows,
        shared: Shared,
        cotangent: Outputs,
        needs: tuple[bool, bool],
        memory: ForwardRecord | None = None,
    ) -> Vjp:
        """Run back once, and forward first unless ``memory`` has run at these angles."""
        return Backward(needs).vjp(evaluation, rows, shared, cotangent, memory)

    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the derivative by parameter shift, as the adjoint rule has no forward mode."""
        return shifted_jvp(evaluation, rows, shared, tangents)

    def explain(self, program: CircuitProgram) -> str:
        """Return the number of runs in words."""
        return (
            f"adjoint: one forward and one backward run for all {program.num_shared_angles} shared "
            "angles, both in place if the forward run above is, and their states fit into memory; "
            "second derivatives by parameter shifts of this gradient, in one batch"
        )

    def explain_for(self, evaluation: Evaluation) -> str:
        """Return the passes in words, which depend on the states of the executor."""
        if not evaluation.executor.has_noise:
            special = self.memory(evaluation, (True, True)).explain()
            return f"{self.explain(evaluation.program)}{special}"
        return (
            "adjoint with noise: one forward pass of density matrices and one backward pass of "
            f"observables for all {evaluation.program.num_shared_angles} shared angles, in numpy "
            "(CPU, double precision). Aer does not run the backward pass, nor the forward pass, "
            "whose values equal those of Aer to 1e-12. Samples share the gates before and after "
            "all their angles. Second derivatives by parameter shifts of this gradient"
        )
