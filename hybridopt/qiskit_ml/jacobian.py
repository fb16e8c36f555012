"""Derivatives of every output of every sample, as qiskit-machine-learning asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float64
from qiskit.circuit import ParameterExpression
from torch import Tensor
from torch.func import vmap

from hybridopt.errors import ArgumentError
from hybridopt.execution import Executor
from hybridopt.execution.placed_readout import PlacedReadout
from hybridopt.gradients import Adjoint, GradientRule
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.qiskit_ml.programs import Lowered, Prepared, as_tensor


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Derivatives by some columns of a table of parameter values.

    The shift rules and SPSA go forward: one table of shifts serves all samples, all outputs and
    all columns. The adjoint rule goes back once for each output.

    Attributes:
        prepared: The circuit.
        placed: K outputs.
        executor: Runs the circuits.
        rule: How derivatives are found.
        wanted: W columns.
    """

    prepared: Prepared
    placed: PlacedReadout
    executor: Executor
    rule: GradientRule
    wanted: Sequence[int]

    def __call__(self, values: Float64[np.ndarray, "N P"]) -> Float64[np.ndarray, "N K W"]:
        """At these parameter values, one sample a row."""
        backward = isinstance(self.rule, Adjoint)
        readout = self.placed.readout
        each = self.wanted if backward else ()
        lowered = self.prepared.lowered(values, self.placed.qubits, each)
        evaluation = CircuitEvaluation(lowered.program, readout, self.executor, self.rule)
        evaluation.executor.check(lowered.program, readout)
        self.rule.check(lowered.program, readout, self.executor)
        with torch.enable_grad():
            return _Differentiated(lowered, evaluation, as_tensor(values), self.wanted).jacobian(
                backward=backward
            )


@dataclass(frozen=True, eq=False)
class _Differentiated:
    lowered: Lowered
    evaluation: CircuitEvaluation
    values: Float64[Tensor, "N P"]
    wanted: Sequence[int]

    def jacobian(self, *, backward: bool) -> Float64[np.ndarray, "N K W"]:
        by_rows, by_shared = self._angle_slopes()
        if by_rows is None and by_shared is None:
            outputs = self.evaluation.readout.num_outputs(self.lowered.program)
            return np.zeros((len(self.values), outputs, len(self.wanted)))
        if backward:
            assert by_rows is not None
            return self._backward(by_rows).numpy()
        return self._forward(by_rows, by_shared).numpy()

    def _angle_slopes(self) -> tuple[Tensor | None, Tensor | None]:
        """Derivatives of the angles by the columns, (N, R, W) and (1, O, W); None for none."""
        lowered, columns = self.lowered, list(self.wanted)
        step = torch.zeros(len(self.values), len(columns), dtype=torch.float64, requires_grad=True)
        moved = self.values.index_add(1, torch.tensor(columns, dtype=torch.long), step)
        by_rows = by_shared = None
        if not lowered.in_rows.isdisjoint(columns):
            by_rows = _by_angle(lowered.rows(moved), step)
        if not lowered.in_shared.isdisjoint(columns):
            by_shared = _by_angle(lowered.shared(moved), step)[:1]
        _check_finite(by_rows, lowered.program.row_expressions)
        _check_finite(by_shared, lowered.program.shared_expressions)
        return by_rows, by_shared

    def _forward(
        self, by_rows: Float64[Tensor, "N R W"] | None, by_shared: Float64[Tensor, "1 O W"] | None
    ) -> Float64[Tensor, "N K W"]:
        rows, shared = self.lowered.rows(self.values), self.lowered.shared(self.values)
        given = [slope for slope in (by_rows, by_shared) if slope is not None]

        def along(*tangents: Tensor) -> Tensor:
            rest = list(tangents)
            pair = tuple(None if s is None else rest.pop(0) for s in (by_rows, by_shared))
            return self.evaluation.rule.jvp(
                self.evaluation, rows, shared, cast(tuple[Tensor | None, Tensor | None], pair)
            )

        columns = vmap(along, in_dims=-1, out_dims=-1)(*given)
        return columns[0]  # one row of shared angles

    def _backward(self, by_rows: Float64[Tensor, "N R W"]) -> Float64[Tensor, "N K W"]:
        rows, shared = self.lowered.rows(self.values), self.lowered.shared(self.values)
        evaluation, needs = self.evaluation, (True, False)
        memory = evaluation.rule.memory(evaluation, needs)
        outputs = evaluation.numbers(rows, shared, memory).shape[-1]
        result = torch.empty(len(rows), outputs, len(self.wanted), dtype=torch.float64)
        for output in range(outputs):
            cotangent = torch.zeros(1, len(rows), outputs, dtype=torch.float64)
            cotangent[..., output] = 1
            slopes, _ = evaluation.rule.vjp(evaluation, rows, shared, cotangent, needs, memory)
            assert slopes is not None
            result[:, output] = torch.einsum("nr,nrw->nw", slopes, by_rows)
        return result


def _check_finite(slopes: Tensor | None, angles: Sequence[ParameterExpression]) -> None:
    if slopes is None or bool(torch.isfinite(slopes).all()):
        return
    number = int((~torch.isfinite(slopes)).any(-1).any(0).nonzero()[0])
    raise ArgumentError(
        f"The derivative of angle `{angles[number]}` is not finite at the given parameter values. "
        "Move them away from that point."
    )


def _by_angle(
    angles: Float64[Tensor, "n A"], step: Float64[Tensor, "N W"]
) -> Float64[Tensor, "N A W"]:
    """An angle depends on its own row of steps only: one product with a vector serves all rows."""
    each = torch.eye(angles.shape[1], dtype=torch.float64)[:, None, :].expand(-1, len(angles), -1)
    (slopes,) = torch.autograd.grad(angles, step, each, retain_graph=True, is_grads_batched=True)
    return slopes.movedim(0, 1)
