r"""Derivatives of a linear map that is known by its outputs, without a derivative of its circuit.

A circuit takes :math:`x` in through angles that are singular where coordinates vanish. What comes
out is :math:`y = W(\theta) x` all the same, so the derivative by x is W, which is read only if
it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.gradients.base import batch_entries, differentiable_jvp

Matrix = Callable[[Tensor], Tensor]  # takes angles to W, differentiably


def with_linear_grad(
    x: Float64[Tensor, "B n"],
    angles: Float64[Tensor, " P"],
    outputs: Float64[Tensor, "B m"],
    matrix: Matrix,
) -> Float64[Tensor, "B m"]:
    """The outputs, which depend on x as ``x @ matrix(angles).T`` does.

    They were made from x without autograd. W is read when a derivative by x is asked for.
    """
    return cast(Tensor, _WithLinearGrad.apply(x, angles, outputs, matrix))  # type: ignore[no-untyped-call]


class _WithLinearGrad(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, angles: Tensor, outputs: Tensor, matrix: Matrix) -> Tensor:
        return outputs.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, angles, _, ctx.matrix = inputs
        ctx.save_for_backward(x, angles)
        ctx.save_for_forward(x, angles)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        x, angles = ctx.saved_tensors
        needs_x, needs_angles, needs_outputs, _ = ctx.needs_input_grad
        by_x = by_angles = None
        if needs_x:
            w = ctx.matrix(angles)
            by_x = cotangents[0] @ w
            if needs_angles and torch.is_grad_enabled():
                # 0, but not so its derivative by x: outputs know x as a constant
                nothing = cotangents[0].T @ (x - x.detach())
                (by_angles,) = torch.autograd.grad(w, angles, nothing, create_graph=True)
        return by_x, by_angles, cotangents[0] if needs_outputs else None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        def derivative(x: Tensor, angles: Tensor) -> Tensor:
            along = torch.zeros((), dtype=x.dtype, device=x.device)
            if tangents[0] is not None:
                along = along + tangents[0] @ ctx.matrix(angles).T
            return along if tangents[2] is None else along + tangents[2]

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        x: Tensor,
        angles: Tensor,
        outputs: Tensor,
        matrix: Matrix,
    ) -> tuple[Tensor, int]:
        entries = batch_entries(info, in_dims[:3], x, angles, outputs)
        return torch.stack([with_linear_grad(a, b, c, matrix) for a, b, c in entries]), 0
