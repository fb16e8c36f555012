"""Vectors in the Pauli basis: products with transfer matrices of a few qubits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

# rows, which may be one for all samples; the index has a digit of base 4 per qubit, qubit 0 lowest
Vectors = Float64[np.ndarray, "_ size"]
Matrices = Float64[np.ndarray, "*each d d"]  # one for all vectors, or one per vector
Grouped = Float64[np.ndarray, "m left d right"]


@dataclass(frozen=True)
class Place:
    """Place of some qubits in vectors of all qubits."""

    size: int  # d, number of Pauli strings on the qubits
    below: int  # number of Pauli strings on the qubits below the lowest one
    axes: tuple[int, ...] | None  # order of axes with the qubits side by side, if they are not
    shape: tuple[int, ...]  # of a vector, with one axis per qubit

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(qubits: tuple[int, ...], num_qubits: int) -> Place:
        """Return the place of ascending qubits."""
        low, count = qubits[0], len(qubits)
        shape = (4,) * num_qubits
        if qubits == tuple(range(low, low + count)):
            return Place(4**count, 4**low, None, shape)
        others = [q for q in reversed(range(low, num_qubits)) if q not in qubits]
        order = [*others, *reversed(qubits), *reversed(range(low))]
        return Place(4**count, 4**low, (0, *(num_qubits - q for q in order)), shape)

    def group(self, vectors: Vectors) -> Grouped:
        """Return the vectors with one axis for the qubits."""
        if self.axes is not None:
            vectors = vectors.reshape(-1, *self.shape).transpose(self.axes)
        return vectors.reshape(len(vectors), -1, self.size, self.below)

    def ungroup(self, grouped: Grouped) -> Vectors:
        """Return vectors from `group`."""
        if self.axes is not None:
            grouped = grouped.reshape(-1, *self.shape).transpose(np.argsort(self.axes))
        return grouped.reshape(len(grouped), -1)


def apply(matrices: Matrices, vectors: Vectors, place: Place) -> Vectors:
    """Return products of a matrix on some qubits with vectors; one of both may be for all."""
    grouped = place.group(vectors)
    if place.below > 1:
        product = np.matmul(matrices[..., None, :, :], grouped)
    elif matrices.ndim == 2:  # one product with a tall matrix
        product = grouped.reshape(-1, place.size) @ matrices.T
        product = product.reshape(grouped.shape)
    else:
        product = np.matmul(grouped[..., 0], matrices.swapaxes(1, 2))
        product = product[..., None]
    return place.ungroup(product)


def contract(
    left: Vectors, right: Vectors, place: Place, *, per_vector: bool
) -> Float64[np.ndarray, "*each d d"]:
    """Return the derivative of ``left @ M @ right`` with respect to M on some qubits.

    The sum is over all vectors, or the result has one matrix per vector.
    """
    rows, columns = (place.group(one).swapaxes(1, 2) for one in (left, right))
    if per_vector:
        rows, columns = (one.reshape(len(one), place.size, -1) for one in (rows, columns))
        return np.asarray(np.matmul(rows, columns.swapaxes(1, 2)))
    if len(rows) > 1:
        rows, columns = rows.swapaxes(0, 1), columns.swapaxes(0, 1)
    return np.asarray(rows.reshape(place.size, -1) @ columns.reshape(place.size, -1).T)
