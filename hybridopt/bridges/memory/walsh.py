"""Walsh-Hadamard transform and Gray code: the algebra of uniformly controlled rotations."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from hybridopt.errors import ArgumentError

SEED_OF_THE_COLUMNS = 0  # the same columns for the bridge, its twin and its linear control


def walsh_hadamard(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    r"""Transform :math:`y_k = \sum_l (-1)^{popcount(k \& l)} x_l` in ``n log2 n`` additions.

    References:
        Fino and Algazi, IEEE Trans. Comput. C-25, 1142 (1976).
    """
    result, width = values.copy(), 1
    while width < values.size:
        pairs = result.reshape(-1, 2, width)
        upper = pairs[:, 0] + pairs[:, 1]
        pairs[:, 1] = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] = upper
        width *= 2
    return result


def gray_code(index: int) -> int:
    """The reflected binary code of ``index``: neighbours differ in one bit (cyclically too)."""
    return index ^ (index >> 1)


def walsh_columns(
    num_columns: int, num_rows: int, name: str = "num_angles"
) -> Int64[np.ndarray, " K"]:
    r"""Which K columns of the Walsh matrix a sparse form takes: random, and independent.

    The first K columns in any of the usual orders tie weights: where K is a power of two, all
    weights whose places agree in some bits would move alike, whole rows of a layer among them.
    Random columns have no such pattern. These are drawn so that the first M rows keep the full
    rank min(K, M), always. With :math:`2^{m-1} < M \le 2^m`, columns that all differ in their low
    m - 1 bits are independent on the first :math:`2^{m-1}` rows already. Beyond that number, each
    further column differs from one of them in the top bit alone; the difference of two such
    columns vanishes on these rows and is, but for a factor, a column of the matrix of the other
    :math:`M - 2^{m-1}` rows, so the same rule chooses the pairs. Column 0, which moves all weights
    alike, is taken only where the rule cannot do without it (always if K is N). More than N are
    refused, as the option ``name``.
    """
    num_places = max(2, 1 << (num_rows - 1).bit_length())
    if num_columns > num_places:
        raise ArgumentError(
            f"{name} is {num_columns}, but {num_rows} weights have N = {num_places} Walsh columns. "
            f"Give 1 to {num_places}, or None for as many as there are weights."
        )
    # not default_rng, whose numbers may change with numpy: trained angles belong to their columns
    generator = np.random.RandomState(SEED_OF_THE_COLUMNS)
    bits = num_places.bit_length() - 1
    chosen = _independent_columns(min(num_columns, num_rows), num_rows, bits, generator)
    others = np.setdiff1d(np.arange(1, num_places), chosen)
    further = np.append(generator.permutation(others), np.setdiff1d([0], chosen))
    return np.sort(np.append(chosen, further[: num_columns - chosen.size]))


def _independent_columns(
    num_columns: int, num_rows: int, num_bits: int, generator: np.random.RandomState
) -> Int64[np.ndarray, " K"]:
    """Columns of ``num_bits`` bits that are independent on the first rows; K <= M."""
    low_bits = max(0, (num_rows - 1).bit_length() - 1)
    half = 1 << low_bits
    low = generator.permutation(half)[:num_columns]
    high = generator.randint(0, 1 << (num_bits - low_bits), low.size)
    if num_bits > low_bits:
        high[(low == 0) & (high == 0)] = 1
    chosen = low | (high << low_bits)
    if num_columns <= half:
        return chosen
    pairs = _independent_columns(num_columns - half, num_rows - half, low_bits, generator)
    high_of = np.empty_like(high)
    high_of[low] = high
    return np.concatenate([chosen, pairs | ((high_of[pairs] ^ 1) << low_bits)])
