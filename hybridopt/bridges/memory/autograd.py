"""Cosines of angles as a torch function with all derivatives read from circuits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hybridopt.gradients.base import batch_entries, differentiable_jvp

# maps theta (M,) [rad] and an order to estimates of cos(theta - order pi/2), shape (M,)
Read = Callable[[Float64[np.ndarray, " M"], int], Float64[np.ndarray, " M"]]
RADIX = 32  # values per step: few calls for small sizes, little work for large ones


def read_cosines(
    delta: Float64[Tensor, " M"], read: Read, known: Float64[Tensor, " M"] | None = None
) -> Float64[Tensor, " M"]:
    r"""Return -sin(delta_k) = cos(pi/2 + delta_k), differentiable any number of times.

    The derivative of a readout is a readout at shifted angles,
    :math:`d\cos\theta/d\theta = -\cos(\theta - \pi/2)`. It is read in the backward pass, once for
    all cotangents. Costs in settings: one forward, one backward, four in all for a Hessian with its
    rows in one batched backward pass. Values ``known`` at the same angles save the forward setting.
    On torch's meta device only shapes are returned.
    """
    return _read(delta, read, 0, known)


def _read(delta: Tensor, read: Read, order: int, known: Tensor | None = None) -> Tensor:
    return cast(Tensor, _Cosines.apply(delta, read, order, known))  # type: ignore[no-untyped-call]


class _Cosines(torch.autograd.Function):
    @staticmethod
    def forward(delta: Tensor, read: Read, order: int, known: Tensor | None) -> Tensor:
        if known is not None:
            return known.clone()
        if delta.is_meta:
            return torch.empty_like(delta)
        theta = np.pi / 2 + delta.detach().cpu().numpy()
        return torch.from_numpy(read(theta, order)).to(delta.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        delta, ctx.read, ctx.order, _ = inputs
        ctx.save_for_backward(delta)
        ctx.save_for_forward(delta)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (delta,) = ctx.saved_tensors
        return -cotangents[0] * _read(delta, ctx.read, ctx.order + 1), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        def derivative(delta: Tensor) -> Tensor:
            return cast(Tensor, -tangents[0] * _read(delta, ctx.read, ctx.order + 1))

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        delta: Tensor,
        read: Read,
        order: int,
        known: Tensor | None,
    ) -> tuple[Tensor, int]:
        entries = batch_entries(info, (in_dims[0], in_dims[3]), delta, known)
        return torch.stack([_read(one, read, order, at) for one, at in entries]), 0


def walsh_transform(values: Float64[Tensor, " N"]) -> Float64[Tensor, " N"]:
    r"""Return :math:`y_k = \sum_l (-1)^{popcount(k \& l)} x_l`, without an N x N matrix."""
    size, width = len(values), 1
    result = values
    while width < size:
        radix = min(RADIX, size // width)
        signs = 1 - 2 * (np.bitwise_count(np.arange(radix)[:, None] & np.arange(radix)) % 2.0)
        matrix = torch.from_numpy(signs).to(values)
        result = (matrix @ result.reshape(-1, radix, width)).reshape(size)
        width *= radix
    return result


def walsh_sum(
    coefficients: Float64[Tensor, " K"], columns: Int64[Tensor, " K"], size: int
) -> Float64[Tensor, " N"]:
    r"""Return a sum of K Walsh columns, :math:`\frac1{\sqrt K} \sum_j z_j H_{k c_j}`."""
    spread = coefficients.new_zeros(size).index_put((columns,), coefficients)
    return walsh_transform(spread) / math.sqrt(len(columns))


def walsh_coefficients(
    sums: Float64[Tensor, " M"], columns: Int64[Tensor, " K"], size: int
) -> Float64[Tensor, " K"]:
    """Return the coefficients with the `walsh_sum` nearest to the vector, padded with zeros."""
    padded = torch.cat([sums, sums.new_zeros(size - len(sums))])
    return walsh_transform(padded)[columns] * (math.sqrt(len(columns)) / size)
