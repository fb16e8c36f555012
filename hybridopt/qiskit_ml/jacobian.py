"""Derivatives of every output of every sample, as qiskit-machine-learning asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float64
from qiskit.circuit import Parameter, ParameterExpression
from torch import Tensor
from torch.func import vmap

from hybridopt.errors import ArgumentError
from hybridopt.execution.placed_readout import PlacedReadout
from hybridopt.gradients import Adjoint, GradientRule
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuit, as_tensor


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
        step = table.new_zeros(len(table), len(wanted), requires_grad=True)
        moved = table.index_add(1, torch.tensor(wanted, dtype=torch.long), step)
        asked = {compiled.parameters[column] for column in wanted}
        by_rows = _slopes(lowered.rows, moved, step, lowered.program.row_expressions, asked)
        by_shared = _slopes(lowered.shared, moved, step, lowered.program.shared_expressions, asked)
        if by_rows is None and by_shared is None:
            outputs = readout.num_outputs(lowered.program)
            return np.zeros((len(values), outputs, len(wanted)))
        rows, shared = lowered.rows(table), lowered.shared(table)
        if backward:
            assert by_rows is not None
            return _backward(evaluation, rows, shared, by_rows).numpy()
        slopes = by_rows, None if by_shared is None else by_shared[:1]
        along = vmap(
            lambda *tangents: rule.jvp(evaluation, rows, shared, tangents),
            in_dims=tuple(None if slope is None else -1 for slope in slopes),
            out_dims=-1,
        )
        return along(*slopes)[0].numpy()  # one row of shared angles


def _slopes(
    angles_of: Callable[[Tensor], Tensor],
    moved: Float64[Tensor, "N P"],
    step: Float64[Tensor, "N W"],
    expressions: Sequence[ParameterExpression],
    wanted: set[Parameter],
) -> Float64[Tensor, "N A W"] | None:
    """Derivatives of the angles by the wanted columns; None if no angle depends on them.

    An angle depends on its own row of steps only: one product with a vector serves all rows.
    """
    if all(expression.parameters.isdisjoint(wanted) for expression in expressions):
        return None
    angles = angles_of(moved)
    each = torch.eye(angles.shape[1], dtype=torch.float64)[:, None, :].expand(-1, len(angles), -1)
    (found,) = torch.autograd.grad(angles, step, each, retain_graph=True, is_grads_batched=True)
    slopes: Tensor = found.movedim(0, 1)
    if not torch.isfinite(slopes).all():
        number = int((~torch.isfinite(slopes)).any(-1).any(0).nonzero()[0])
        raise ArgumentError(
            f"The derivative of angle `{expressions[number]}` is not finite at the given parameter "
            "values. Move them away from that point."
        )
    return slopes


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
