"""Adjoint rule: vector-Jacobian products of a batch in two runs of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, ForwardRecord, Readout, StateExecutor
from hybridopt.gradients.base import (
    Evaluation,
    GradientRule,
    Outputs,
    Rows,
    Shared,
    Tangents,
    Vjp,
    batch_entries,
    differentiable_jvp,
    with_fixed_signature,
)
from hybridopt.gradients.parameter_shift import ParameterShift


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
    hardware cannot run it. Second derivatives are computed with the parameter-shift rule.

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

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise an error for executors without exact states, and for errors that need angles."""
        ParameterShift().check(program, readout, executor)
        if not isinstance(executor, StateExecutor) or not executor.holds_states:
            raise UnsupportedError(
                '`gradient="adjoint"` needs exact states, or exact density matrices with noise '
                f'(got {executor!r}). Use `gradient="parameter-shift"`, or an executor with '
                'method "automatic" and without shots.'
            )
        if executor.has_noise or program.amplitudes is not None:
            executor.adjoint(program, readout, (True, True))

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> ForwardRecord:
        """Return an evaluation that keeps its states for the derivative."""
        executor = evaluation.executor
        assert isinstance(executor, StateExecutor)
        return executor.adjoint(evaluation.program, evaluation.readout, needs)

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
        differentiated_again = evaluation.program.num_amplitudes and torch.is_grad_enabled()
        if differentiated_again or torch._C._functorch.is_legacy_batchedtensor(cotangent):
            # all rows of a Hessian share the shifted runs, but not the backward run
            return ParameterShift().vjp(evaluation, rows, shared, cotangent, needs)
        run = _Vjp.forward if _is_plain(rows, shared, cotangent) else _Vjp.apply
        by_rows, by_shared = run(rows, shared, cotangent, evaluation, self, needs, memory)
        return (by_rows if needs[0] else None, by_shared if needs[1] else None)

    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the derivative by parameter shift, as the adjoint rule has no forward mode."""
        return ParameterShift().jvp(evaluation, rows, shared, tangents)

    def explain(self, program: CircuitProgram) -> str:
        """Return the number of runs in words."""
        return (
            f"adjoint: one forward and one backward run for all {program.num_shared_angles} shared "
            "angles, both in place if the forward run above is, and their states fit into memory; "
            "second derivatives by parameter shift"
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
            "all their angles. Second derivatives by parameter shift"
        )


class _Vjp(torch.autograd.Function):
    """Vector-Jacobian product whose own derivatives are computed by parameter shift."""

    @staticmethod
    def forward(
        rows: Tensor,
        shared: Tensor,
        cotangent: Tensor,
        evaluation: Evaluation,
        rule: Adjoint,
        needs: tuple[bool, bool],
        record: ForwardRecord | None,
    ) -> tuple[Tensor, Tensor]:
        if rows.is_meta:
            return torch.empty_like(rows), torch.empty_like(shared)
        numbers = [tensor.detach().cpu().numpy() for tensor in (rows, shared, cotangent)]
        by_rows, by_shared = (record or rule.memory(evaluation, needs)).vjp(*numbers)
        device = rows.device
        return torch.from_numpy(by_rows).to(device), torch.from_numpy(by_shared).to(device)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        rows, shared, cotangent, ctx.evaluation, _, ctx.needs, _ = inputs
        ctx.save_for_backward(rows, shared, cotangent)
        ctx.save_for_forward(rows, shared, cotangent)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        rows, shared, weights = ctx.saved_tensors
        shift, evaluation, needs = ParameterShift(), ctx.evaluation, ctx.needs_input_grad[:2]
        directions = (
            cotangents[0] if ctx.needs[0] else None,
            cotangents[1] if ctx.needs[1] else None,
        )
        by_angles = shift.vjp_of_jvp(evaluation, (rows, shared), weights, directions, needs)
        by_weights = shift.jvp(evaluation, rows, shared, directions)
        return *by_angles, by_weights, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        def derivative(rows: Tensor, shared: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
            shift, evaluation, angles = ParameterShift(), ctx.evaluation, (rows, shared)
            parts = [shift.vjp_of_jvp(evaluation, angles, weights, tangents[:2], ctx.needs)]
            if tangents[2] is not None:
                parts.append(shift.vjp(evaluation, rows, shared, tangents[2], ctx.needs))
            by_rows, by_shared = (
                sum((part for part in found if part is not None), torch.zeros_like(table))
                for table, found in zip(angles, zip(*parts, strict=True), strict=True)
            )
            return by_rows, by_shared

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        record = inputs[-1] if in_dims[0] is None and in_dims[1] is None else None
        results = [
            _Vjp.apply(*entry, *inputs[3:-1], record)  # type: ignore[no-untyped-call]
            for entry in batch_entries(info, in_dims[:3], *inputs[:3])
        ]
        by_rows, by_shared = zip(*results, strict=True)
        return (torch.stack(by_rows), torch.stack(by_shared)), (0, 0)


with_fixed_signature(_Vjp)


def _is_plain(*tensors: Tensor) -> bool:
    """Return True if nothing can differentiate functions of the tensors, or batch them."""
    functorch = torch._C._functorch
    return not (
        torch.is_grad_enabled()
        or forward_ad._current_level >= 0
        or any(map(functorch.is_functorch_wrapped_tensor, tensors))
    )
