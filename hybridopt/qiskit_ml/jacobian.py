"""Derivatives of every output of every sample, as qiskit-machine-learning asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float64
from qiskit.circuit import ParameterExpression
from torch import Tensor
from torch.func import vmap

from hybridopt.errors import ArgumentError
from hybridopt.execution.placed_readout import PlacedReadout
from hybridopt.gradients import Adjoint, GradientRule
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuit, Lowered, as_tensor


def jacobian(
    compiled: CompiledCircuit,
    placed: PlacedReadout,
    rule: GradientRule,
    wanted: Sequence[int],
    values: Float64[np.ndarray, "N P"],
) -> Float64[np.ndarray, "N K W"]:
    """Return derivatives of K outputs by W wanted columns of a table of parameter values.

    The shift rules and SPSA go forward: one table of shifts serves all samples, all outputs and
    all columns. The adjoint rule goes back once for each output.
    """
    backward = isinstance(rule, Adjoint)
    executor, readout = compiled.executor, placed.readout
    lowered = compiled.lowered(values, placed.qubits, wanted if backward else ())
    executor.check(lowered.program, readout)
    rule.check(lowered.program, readout, executor)
    evaluation = CircuitEvaluation(lowered.program, readout, executor, rule)
    table = as_tensor(values)
    with torch.enable_grad():
        by_rows, by_shared = _angle_slopes(lowered, table, list(wanted))
        if by_rows is None and by_shared is None:
            outputs = readout.num_outputs(lowered.program)
            return np.zeros((len(values), outputs, len(wanted)))
        rows, shared = lowered.rows(table), lowered.shared(table)
        if backward:
            assert by_rows is not None
            return _backward(evaluation, rows, shared, by_rows).numpy()
        return _forward(evaluation, rows, shared, (by_rows, by_shared)).numpy()


def _angle_slopes(
    lowered: Lowered, values: Float64[Tensor, "N P"], columns: list[int]
) -> tuple[Tensor | None, Tensor | None]:
    """Return derivatives of the angles by the columns, (N, R, W) and (1, O, W); None for none."""
    step = torch.zeros(len(values), len(columns), dtype=torch.float64, requires_grad=True)
    moved = values.index_add(1, torch.tensor(columns, dtype=torch.long), step)
    by_rows = by_shared = None
    if not lowered.in_rows.isdisjoint(columns):
        by_rows = _by_angle(lowered.rows(moved), step)
    if not lowered.in_shared.isdisjoint(columns):
        by_shared = _by_angle(lowered.shared(moved), step)[:1]
    _check_finite(by_rows, lowered.program.row_expressions)
    _check_finite(by_shared, lowered.program.shared_expressions)
    return by_rows, by_shared


def _forward(
    evaluation: CircuitEvaluation,
    rows: Float64[Tensor, "N R"],
    shared: Float64[Tensor, "1 O"],
    slopes: tuple[Tensor | None, Tensor | None],
) -> Float64[Tensor, "N K W"]:
    def along(*tangents: Tensor) -> Tensor:
        rest = list(tangents)
        pair = tuple(None if slope is None else rest.pop(0) for slope in slopes)
        tangent = cast(tuple[Tensor | None, Tensor | None], pair)
        return evaluation.rule.jvp(evaluation, rows, shared, tangent)

    given = [slope for slope in slopes if slope is not None]
    return vmap(along, in_dims=-1, out_dims=-1)(*given)[0]  # one row of shared angles


def _backward(
    evaluation: CircuitEvaluation,
    rows: Float64[Tensor, "N R"],
    shared: Float64[Tensor, "1 O"],
    by_rows: Float64[Tensor, "N R W"],
) -> Float64[Tensor, "N K W"]:
    needs = (True, False)
    memory = evaluation.rule.memory(evaluation, needs)
    outputs = evaluation.numbers(rows, shared, memory).shape[-1]
    result = torch.empty(len(rows), outputs, by_rows.shape[-1], dtype=torch.float64)
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
