"""Marginal sums of numbers per basis state."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64


def marginal(
    product: Float64[np.ndarray, "blocks dim"], qubits: tuple[int, ...]
) -> Float64[np.ndarray, "blocks states"]:
    """Return sums over all other qubits; the first of ``qubits`` is the least significant."""
    width = int(math.log2(product.shape[1]))
    if qubits == tuple(range(width)):
        return product
    kept = [width - qubit for qubit in sorted(qubits, reverse=True)]  # axis 0 counts the blocks
    summed = product.reshape(-1, *(2,) * width).sum(axis=tuple({*range(1, width + 1)} - {*kept}))
    order = [1 + kept.index(width - qubit) for qubit in reversed(qubits)]
    return np.asarray(summed.transpose(0, *order).reshape(len(product), -1))
