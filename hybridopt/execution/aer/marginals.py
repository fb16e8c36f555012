"""Marginal sums of numbers per basis state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.steps import Rotation


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


def eigenvalue_sums(
    product: Float64[np.ndarray, "blocks dim"], rotations: Sequence[Rotation]
) -> Float64[np.ndarray, "blocks J"]:
    """Return sums of the product times the eigenvalues of each rotation in its frame."""
    blocks, folded, width = len(product), product, product.shape[1].bit_length() - 1
    result = np.empty((blocks, len(rotations)))
    single: dict[int, list[int]] = {}
    for place, rotation in enumerate(rotations):
        if len(rotation.qubits) == 1:
            single.setdefault(rotation.qubits[0], []).append(place)
        else:
            result[:, place] = marginal(product, rotation.qubits) @ rotation.family.eigenvalues
    # halves of a sum over all higher qubits: all single qubits take as long as one of them
    for qubit in reversed(range(min(single, default=width), width)):
        halves = folded.reshape(blocks, 2, -1)
        for place in single.get(qubit, ()):
            result[:, place] = halves.sum(axis=2) @ rotations[place].family.eigenvalues
        folded = halves[:, 0] + halves[:, 1]
    return result
