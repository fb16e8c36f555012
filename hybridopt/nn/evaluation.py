"""A circuit as a torch function of its angles, with derivatives of any order."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Job, Readout
from hybridopt.gradients import GradientRule
from hybridopt.gradients.base import (
    Evaluation,
    Outputs,
    Rows,
    Shared,
    batch_entries,
    differentiable_jvp,
)
from hybridopt.nn.parameter_map import is_transformed


@dataclass(frozen=True, eq=False)
class CircuitEvaluation(Evaluation):
    """A function from angles to outputs that runs circuits."""

    program: CircuitProgram
    readout: Readout
    executor: Executor
    rule: GradientRule
    known: tuple[Tensor, Tensor] | None = None  # shared angles and their outputs (S, B, K)
    seed: int | None = None

    def __call__(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs per row of shared angles and sample; on meta, shapes only."""
        memory = None
        needs = (rows.requires_grad, shared.requires_grad)
        if torch.is_grad_enabled() and any(needs):
            if is_transformed(rows) or is_transformed(shared):
                needs = (True, True)  # an outer transform may differentiate the other one
            memory = self.rule.memory(self, needs)
        return cast(
            Tensor,
            _Evaluate.apply(rows, shared, self, memory),  # type: ignore[no-untyped-call]
        )

    def with_seed(self, seed: int) -> CircuitEvaluation:
        """Return an evaluation whose random derivatives are drawn from this seed."""
        return replace(self, seed=seed)

    def numbers(self, rows: Tensor, shared: Tensor, memory: ForwardRecord | None) -> Tensor:
        """Return the outputs without autograd."""
        if self.known is not None and torch.equal(self.known[0], shared):
            return self.known[1].detach().clone()
        tables = rows.detach().cpu().numpy(), shared.detach().cpu().numpy()
        job = Job(self.program, self.readout, *tables)
        if memory is None:
            values = self.executor.run(job)
        else:
            job.check()
            values = memory.values(*tables)
        return torch.from_numpy(values).to(rows.device)


class _Evaluate(torch.autograd.Function):
    @staticmethod
    def forward(
        rows: Tensor, shared: Tensor, evaluation: CircuitEvaluation, memory: ForwardRecord | None
    ) -> Tensor:
        if rows.is_meta:
            outputs = evaluation.readout.num_outputs(evaluation.program)
            return rows.new_empty((len(shared), len(rows), outputs))
        return evaluation.numbers(rows, shared, memory)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        rows, shared, ctx.evaluation, ctx.memory = inputs
        ctx.set_materialize_grads(False)  # nothing is run for absent tangents
        ctx.save_for_backward(rows, shared)
        ctx.save_for_forward(rows, shared)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        if cotangents[0] is None:
            return (None,) * 4
        rows, shared = ctx.saved_tensors
        evaluation, needs = ctx.evaluation, tuple(ctx.needs_input_grad[:2])
        by_rows, by_shared = evaluation.rule.vjp(
            evaluation, rows, shared, cotangents[0], needs, ctx.memory
        )
        return by_rows, by_shared, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        evaluation = ctx.evaluation

        def derivative(rows: Tensor, shared: Tensor) -> Tensor:
            return cast(Tensor, evaluation.rule.jvp(evaluation, rows, shared, tangents[:2]))

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        """Join the rows of a batched argument, or loop if both are batched."""
        angles, dims, evaluation = list(args[:2]), in_dims[:2], args[2]
        if None not in dims:
            entries = batch_entries(info, dims, *angles)
            return torch.stack([evaluation(*entry) for entry in entries]), 0
        place = int(dims[0] is None)
        tables = angles[place].movedim(dims[place] or 0, 0)
        angles[place] = tables.flatten(0, 1)
        return torch.unflatten(evaluation(*angles), 1 - place, tables.shape[:2]), 1 - place


# torch reads the signature in every call: 3 microseconds from this attribute instead of 19
_Evaluate.forward.__signature__ = inspect.signature(_Evaluate.forward)  # type: ignore[attr-defined]
