"""Walsh-Hadamard transform and Gray code: the algebra of uniformly controlled rotations."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from hybridopt.errors import ArgumentError


def walsh_hadamard(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    r"""Transform :math:`y_k = \sum_l (-1)^{popcount(k \& l)} x_l` in ``n log2 n`` additions.

    Args:
        values: Shape ``(n,)``, ``n`` a power of two.

    Returns:
        Shape ``(n,)``, a new array. Twice the transform is ``n`` times the identity.

    Raises:
        ArgumentError: If ``n`` is no power of two.

    References:
        Fino and Algazi, IEEE Trans. Comput. C-25, 1142 (1976).
    """
    size = values.size
    if size < 1 or size & (size - 1):
        raise ArgumentError(f"The transform needs a power of two of values, but got {size}.")
    result = values.copy()
    width = 1
    while width < size:
        pairs = result.reshape(-1, 2, width)
        upper = pairs[:, 0] + pairs[:, 1]
        pairs[:, 1] = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] = upper
        width *= 2
    return result


def gray_code(index: int) -> int:
    """The reflected binary code of ``index``: neighbours differ in one bit (cyclically too)."""
    return index ^ (index >> 1)


def gray_step(index: int, num_bits: int) -> int:
    """Which bit differs between the Gray codes of ``index`` and its cyclic successor."""
    size = 1 << num_bits
    change = gray_code(index) ^ gray_code((index + 1) % size)
    return change.bit_length() - 1
