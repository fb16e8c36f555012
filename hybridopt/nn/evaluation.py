"""A circuit as a torch function of its angles, with derivatives of any order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Job, PendingResult, Readout, Result
from hybridopt.execution.result import checked_result, received
from hybridopt.gradients import GradientRule
from hybridopt.gradients.base import (
    Evaluation,
    Outputs,
    Rows,
    Shared,
    batch_entries,
    differentiable_jvp,
    with_fixed_signature,
)
from hybridopt.nn.output_errors import OutputErrors
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
    errors: OutputErrors | None = None  # record of the variances of forward passes
    submitted: tuple[Submitted, ...] = ()  # jobs of the forward pass and its gradient
    training: bool = True  # a gradient is expected, and is submitted with the forward pass

    def __call__(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs per row of shared angles and sample; on meta, shapes only."""
        memory, evaluation = None, self
        needs = (rows.requires_grad, shared.requires_grad)
        if torch.is_grad_enabled() and any(needs):
            transformed = is_transformed(rows) or is_transformed(shared)
            if transformed:
                needs = (True, True)  # an outer transform may differentiate the other one
            memory = self.rule.memory(self, needs)
            remote = self.executor.is_remote and self.training and self.known is None
            if remote and not (transformed or rows.is_meta or self.submitted):
                evaluation = self._with_submitted(rows, shared, needs)
        return cast(
            Tensor,
            _Evaluate.apply(rows, shared, evaluation, memory),  # type: ignore[no-untyped-call]
        )

    def _with_submitted(
        self, rows: Rows, shared: Shared, needs: tuple[bool, bool]
    ) -> CircuitEvaluation:
        """Return the evaluation with the jobs of its forward pass and gradient submitted."""
        with torch.no_grad():
            detached = rows.detach(), shared.detach()
            gradient = self.rule.tables(self, *detached, needs)
            submitted = [
                Submitted(*one, self.executor.submit(self._job(*one)))
                for one in (detached, *gradient)
            ]
        return replace(self, submitted=tuple(submitted))

    def with_program(self, program: CircuitProgram) -> CircuitEvaluation:
        """Return the evaluation of another program, without known or submitted outputs."""
        return replace(self, program=program, known=None, submitted=(), errors=None)

    def with_seed(self, seed: int) -> CircuitEvaluation:
        """Return an evaluation whose random derivatives are drawn from this seed."""
        return replace(self, seed=seed)

    def numbers(self, rows: Tensor, shared: Tensor, memory: ForwardRecord | None) -> Tensor:
        """Return the outputs without autograd."""
        known = self._recall(rows, shared)
        if known is not None:
            return known
        job = self._job(rows, shared)
        memory = memory or self.rule.inference_memory(self)
        if memory is None:
            result = self._result(job, rows, shared)
            values = result.values
            if self.errors is not None:
                self.errors.record(result.variances)
        else:
            job.check()
            values = memory.values(job.rows, job.shared)
        return torch.from_numpy(values).to(rows.device)

    @cached_property
    def for_derivatives(self) -> CircuitEvaluation:
        """Evaluation for shifted angles, whose variances are not recorded."""
        return self if self.errors is None else replace(self, errors=None)

    def _recall(self, rows: Tensor, shared: Tensor) -> Tensor | None:
        """Return a copy of the known outputs, if they are those of these angles."""
        if self.known is not None and torch.equal(self.known[0], shared):
            return self.known[1].detach().clone()
        return None

    def _job(self, rows: Tensor, shared: Tensor) -> Job:
        tables = rows.detach().cpu().numpy(), shared.detach().cpu().numpy()
        return Job(self.program, self.readout, *tables)

    def _result(self, job: Job, rows: Tensor, shared: Tensor) -> Result:
        """Return the result of a submitted job at these angles, or run the job."""
        for one in self.submitted:
            if one.is_at(rows, shared):
                return received(self.executor, job, one.pending)
        return checked_result(self.executor, job, self.executor.run(job))


@dataclass(frozen=True, eq=False)
class Submitted:
    """Submitted job and its angles."""

    rows: Tensor
    shared: Tensor
    pending: PendingResult

    def is_at(self, rows: Tensor, shared: Tensor) -> bool:
        """Return whether the job has these angles."""
        return torch.equal(self.rows, rows) and torch.equal(self.shared, shared)


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
        rows, shared, evaluation, ctx.memory = inputs
        ctx.evaluation = evaluation.for_derivatives
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


with_fixed_signature(_Evaluate)
