"""Vector-Jacobian products from the states of a simulator, and derivatives of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import vmap

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor, ForwardRecord, Readout, StateExecutor
from hybridopt.gradients.base import (
    Evaluation,
    Outputs,
    Rows,
    Shared,
    Tangents,
    Vjp,
    batch_entries,
    differentiable_jvp,
    with_fixed_signature,
)
from hybridopt.gradients.shifts import (
    Kept,
    ShiftTerms,
    combine,
    shifted_jvp,
    shifted_vjp,
    shifts_per_cell,
    terms_of,
)

SHIFTS_OF_A_PASS = 4  # circuits that cost as much as one forward and one backward run


@dataclass(frozen=True)
class Backward:
    """Forward and backward run, and the settings that are counted for it.

    Attributes:
        needs: Two flags: derivative needed for rows, for shared angles.
        counts_shifts: Whether the settings of the parameter-shift rule are counted.
    """

    needs: tuple[bool, bool]
    counts_shifts: bool = False

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Rows,
        shared: Shared,
        cotangent: Outputs,
        memory: ForwardRecord | None = None,
    ) -> Vjp:
        """Run back once, and forward first unless ``memory`` has run at these angles.

        Shifted circuits run instead if derivatives of amplitudes are differentiated again, or for
        a stack of cotangents from `torch.autograd`, which can share them, but not a backward run.
        """
        needs, plain = self.needs, _is_plain(rows, shared, cotangent)
        stack = torch._C._functorch.is_legacy_batchedtensor(cotangent)
        if stack or (evaluation.program.num_amplitudes and not plain):
            kept = _kept_values(memory, rows, shared)
            return shifted_vjp(evaluation, rows, shared, cotangent, needs, kept)
        run = _StateVjp.forward if plain else _StateVjp.apply
        by_rows, by_shared = run(rows, shared, cotangent, evaluation, self, memory)
        return (by_rows if needs[0] else None, by_shared if needs[1] else None)


def record_of(evaluation: Evaluation, needs: tuple[bool, bool], rule: str) -> ForwardRecord:
    """Return an evaluation that keeps its states; raise UnsupportedError without exact states."""
    executor = _with_states(evaluation.executor, rule)
    return _Record(executor.adjoint(evaluation.program, evaluation.readout, needs))


@dataclass(frozen=True, eq=False)
class _Record(ForwardRecord):
    """Record of states, and of values at shifted angles if second derivatives need them."""

    states: ForwardRecord
    shifted: Kept = field(default_factory=Kept)

    def values(self, rows: Any, shared: Any) -> Any:
        """Return the outputs at these angles, which are those of all later calls."""
        return self.states.values(rows, shared)

    def vjp(self, rows: Any, shared: Any, cotangent: Any) -> Any:
        """Return derivatives from the states."""
        return self.states.vjp(rows, shared, cotangent)

    def vjps(self, rows: Any, shared: Any, cotangents: Any) -> Any:
        """Return derivatives for several cotangents from the states."""
        return self.states.vjps(rows, shared, cotangents)

    def explain(self) -> str:
        """Return peculiarities of both passes in words."""
        return self.states.explain()


def _kept_values(record: ForwardRecord | None, *angles: Tensor) -> Kept | None:
    """Return the kept values at shifted angles; None where nothing may be kept."""
    return record.shifted if isinstance(record, _Record) and _is_plain(*angles) else None


def check_states(program: CircuitProgram, readout: Readout, executor: Executor, rule: str) -> None:
    """Raise UnsupportedError for executors without exact states, and errors that need angles."""
    found = _with_states(executor, rule)
    if found.has_noise:
        found.adjoint(program, readout, (True, True))


def _with_states(executor: Executor, rule: str) -> StateExecutor:
    if not isinstance(executor, StateExecutor) or not executor.holds_states:
        raise UnsupportedError(
            f"`gradient={rule}` needs exact states, or exact density matrices with "
            f'noise (got {executor!r}). Use `gradient="parameter-shift"`, or an executor with '
            'method "automatic" and without shots.'
        )
    return executor


class _StateVjp(torch.autograd.Function):
    """Vector-Jacobian product whose own derivatives are shifts of it."""

    @staticmethod
    def forward(
        rows: Tensor,
        shared: Tensor,
        cotangent: Tensor,
        evaluation: Evaluation,
        backward: Backward,
        record: ForwardRecord | None,
    ) -> tuple[Tensor, Tensor]:
        if rows.is_meta:
            return torch.empty_like(rows), torch.empty_like(shared)
        program, readout, executor = evaluation.program, evaluation.readout, evaluation.executor
        assert isinstance(executor, StateExecutor)
        if backward.counts_shifts:
            cells = len(rows) * len(shared) * shifts_per_cell(program, backward.needs)
            executor.count_settings(program, readout, cells)
        numbers = [tensor.detach().cpu().numpy() for tensor in (rows, shared, cotangent)]
        record = record or executor.adjoint(program, readout, backward.needs)
        by_rows, by_shared = record.vjp(*numbers)
        device = rows.device
        return torch.from_numpy(by_rows).to(device), torch.from_numpy(by_shared).to(device)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        rows, shared, cotangent, ctx.evaluation, ctx.back, ctx.record = inputs
        ctx.kept = Kept()  # gradients at shifted angles
        ctx.set_materialize_grads(False)  # nothing is run for absent directions
        ctx.save_for_backward(rows, shared, cotangent)
        ctx.save_for_forward(rows, shared, cotangent)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        rows, shared, weights = ctx.saved_tensors
        evaluation, wanted, back = ctx.evaluation, ctx.needs_input_grad, ctx.back
        directions = (
            cotangents[0] if back.needs[0] else None,
            cotangents[1] if back.needs[1] else None,
        )
        by_angles: Vjp = (None, None)
        if any(wanted[:2]):
            then = Backward(wanted[:2], back.counts_shifts)
            kept = ctx.kept if _is_plain(rows, shared, weights) else Kept()
            angles = rows, shared
            by_angles = _hessian_product(evaluation, angles, weights, directions, then, kept)
        by_weights = None
        if wanted[2]:
            values = _kept_values(ctx.record, rows, shared)
            by_weights = shifted_jvp(evaluation, rows, shared, directions, values)
        return *by_angles, by_weights, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        def derivative(rows: Tensor, shared: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
            evaluation, angles, back = ctx.evaluation, (rows, shared), ctx.back
            parts: list[Vjp] = [(None, None)]
            if tangents[0] is not None or tangents[1] is not None:
                parts = [_hessian_product(evaluation, angles, weights, tangents[:2], back, Kept())]
            if tangents[2] is not None:
                parts.append(back.vjp(evaluation, rows, shared, tangents[2]))
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
        rows, shared, cotangents, evaluation, backward, record = inputs
        entries = list(batch_entries(info, in_dims[:3], rows, shared, cotangents))
        results = []
        if in_dims[0] is None and in_dims[1] is None:
            shifts = shifts_per_cell(evaluation.program, backward.needs)
            if shifts <= SHIFTS_OF_A_PASS * len(entries):
                return _shifted_vjps(evaluation, backward, rows, shared, cotangents, in_dims[2])
            first = entries.pop(0)  # alone counts the shifts, which all cotangents share
            results.append(_StateVjp.apply(*first, evaluation, backward, record))  # type: ignore[no-untyped-call]
            backward = Backward(backward.needs)
        results += _vjps_at_once(evaluation, backward, entries) if entries else []
        by_rows, by_shared = zip(*results, strict=True)
        return (torch.stack(by_rows), torch.stack(by_shared)), (0, 0)


with_fixed_signature(_StateVjp)


def _hessian_product(
    evaluation: Evaluation,
    angles: tuple[Tensor, Tensor],
    weights: Outputs,
    directions: Tangents,
    backward: Backward,
    kept: Kept,
) -> Vjp:
    r"""Return the derivative of the vector-Jacobian product along directions in the angles.

    Each row of the Hessian is a shift rule for the gradient of one circuit,
    :math:`\partial_j \nabla F(\theta) = \sum_t c_t \nabla F(\theta + s_t e_j)`, for
    :math:`F = \sum_k w_k f_k`. All gradients of all samples run as one batch, which all directions
    share. It is one of a program whose angles are all angles of samples.
    """
    alone = _PerSample(evaluation)
    rows, shared = angles
    cells, apart = alone.cells(rows, shared), shared.new_zeros((1, 0))
    pairs = zip(angles, directions, strict=True)
    along = alone.cells(*(torch.zeros_like(t) if one is None else one for t, one in pairs))
    moving = [directions[column >= rows.shape[1]] is not None for column in alone.order]
    total = torch.zeros_like(cells)

    def computed() -> Iterator[tuple[Tensor, ShiftTerms]]:
        for terms in terms_of(alone.evaluation, (cells, apart), 0, moving):
            table = terms.move((cells, apart), 0)[1]
            spread = weights.flatten(0, 1).unsqueeze(1).expand(-1, table.shape[1], -1)
            found = alone.slopes(table.flatten(0, 1), spread.flatten(0, 1), backward)
            yield found.reshape(table.shape), terms

    for gradients, terms in kept.tables((*moving,), computed):
        total = total + combine(terms.weigh(along), gradients)
    by_rows, by_shared = alone.parts(total, *angles)
    return (by_rows if backward.needs[0] else None, by_shared if backward.needs[1] else None)


def _shifted_vjps(
    evaluation: Evaluation,
    backward: Backward,
    rows: Rows,
    shared: Shared,
    cotangents: Tensor,
    dim: int,
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    """Return vector-Jacobian products, which share the shifted circuits."""

    def one(cotangent: Tensor) -> tuple[Tensor, Tensor]:
        found = shifted_vjp(evaluation, rows, shared, cotangent, backward.needs)
        by_rows, by_shared = (
            torch.zeros_like(table) if part is None else part
            for part, table in zip(found, (rows, shared), strict=True)
        )
        return by_rows, by_shared

    return vmap(one, in_dims=dim)(cotangents), (0, 0)


def _vjps_at_once(
    evaluation: Evaluation, backward: Backward, entries: Sequence[tuple[Tensor, Tensor, Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    """Return the vector-Jacobian product of each entry, from one batch of gradients."""
    alone = _PerSample(evaluation)
    cells = torch.cat([alone.cells(rows, shared) for rows, shared, _ in entries])
    weights = torch.cat([cotangent.flatten(0, 1) for *_, cotangent in entries])
    slopes = alone.slopes(cells, weights, backward).chunk(len(entries))
    pairs = zip(slopes, entries, strict=True)
    return [alone.parts(one, rows, shared) for one, (rows, shared, _) in pairs]


class _PerSample:
    """Evaluation of single circuits, whose angles are all angles of their sample."""

    def __init__(self, evaluation: Evaluation) -> None:
        program, self.order = evaluation.program.with_angles_per_sample()
        self.evaluation = evaluation.with_program(program)

    def cells(self, rows: Tensor, shared: Tensor) -> Tensor:
        """Return the angles of each pair of shared row and sample."""
        of_rows = rows.unsqueeze(0).expand(len(shared), -1, -1)
        of_shared = shared.unsqueeze(1).expand(-1, len(rows), -1)
        joined = torch.cat([of_rows, of_shared], dim=-1)
        places = torch.tensor(self.order, dtype=torch.long, device=rows.device)
        return joined.reshape(-1, len(self.order)).index_select(1, places)

    def slopes(self, cells: Tensor, weights: Tensor, backward: Backward) -> Tensor:
        """Return the gradient of the weighted outputs of each circuit."""
        run = Backward((True, False), backward.counts_shifts)
        found, _ = run.vjp(self.evaluation, cells, cells.new_zeros((1, 0)), weights.unsqueeze(0))
        assert found is not None
        return found

    def parts(self, of_cells: Tensor, rows: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Return sums of numbers per angle of each circuit, for rows and for shared angles."""
        back = torch.argsort(torch.tensor(self.order, dtype=torch.long, device=rows.device))
        table = of_cells.index_select(1, back).reshape(len(shared), len(rows), -1)
        by_rows, by_shared = table.tensor_split([rows.shape[1]], dim=-1)
        return by_rows.sum(0), by_shared.sum(1)


def _is_plain(*tensors: Tensor) -> bool:
    """Return True if nothing can differentiate functions of the tensors, or batch them."""
    functorch = torch._C._functorch
    return not (
        torch.is_grad_enabled()
        or forward_ad._current_level >= 0
        or any(map(functorch.is_functorch_wrapped_tensor, tensors))
    )
