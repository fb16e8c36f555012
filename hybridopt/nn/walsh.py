"""The Walsh-Hadamard transform in torch, and sums of some of its columns."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64, Int64
from scipy.linalg import hadamard
from torch import Tensor

RADIX = 32  # a step on 32 values at once: few calls for small sizes, little work for large ones


def walsh_transform(values: Float64[Tensor, " N"]) -> Float64[Tensor, " N"]:
    r"""The sums :math:`y_k = \sum_l (-1)^{popcount(k \& l)} x_l`, differentiable.

    Args:
        values: Shape ``(N,)``, N a power of two.

    Returns:
        Shape ``(N,)``, in about ``32 N log_32 N`` multiplications; no N x N matrix is made.
    """
    size, width = len(values), 1
    result = values
    while width < size:
        radix = min(RADIX, size // width)
        matrix = torch.from_numpy(hadamard(radix, dtype=float)).to(values)
        result = (matrix @ result.reshape(-1, radix, width)).reshape(size)
        width *= radix
    return result


def walsh_sum(
    coefficients: Float64[Tensor, " K"], columns: Int64[Tensor, " K"], size: int
) -> Float64[Tensor, " N"]:
    r"""The combination of K Walsh columns, :math:`\frac{1}{\sqrt K} \sum_j z_j H_{k c_j}`.

    Args:
        coefficients: z.
        columns: Their numbers c, each once.
        size: N.

    Returns:
        Shape ``(N,)``. Every entry changes by ``1 / sqrt(K)`` for a coefficient's 1.
    """
    spread = coefficients.new_zeros(size).index_put((columns,), coefficients)
    return walsh_transform(spread) / math.sqrt(len(columns))


def walsh_coefficients(
    sums: Float64[Tensor, " M"], columns: Int64[Tensor, " K"], size: int
) -> Float64[Tensor, " K"]:
    """The coefficients whose `walsh_sum` is the given vector, filled with zeros up to N entries.

    Where the columns do not reach it, the nearest: columns are orthogonal on all N places.
    """
    padded = torch.cat([sums, sums.new_zeros(size - len(sums))])
    return walsh_transform(padded)[columns] * (math.sqrt(len(columns)) / size)
