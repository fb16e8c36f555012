"""Choice of the Walsh columns of sparse memories."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from hybridopt.errors import ArgumentError

SEED_OF_COLUMNS = 0  # one seed, so that bridge, twin and linear control share the columns


def walsh_columns(
    num_columns: int, num_rows: int, name: str = "num_angles"
) -> Int64[np.ndarray, " K"]:
    r"""Return K random Walsh columns, independent on the first M rows; ``name`` is K in errors.

    The first K columns in a usual order would tie weights with equal bits in their places. With
    :math:`2^{m-1} < M \le 2^m`, columns with different low m - 1 bits are independent on the first
    :math:`2^{m-1}` rows. Each further column differs from one of them in the top bit only. The
    difference of both is zero on these rows and, up to a factor, a column of the matrix of the
    other rows, so the same rule chooses the pairs. Column 0, a common move, is chosen last.
    """
    num_places = max(2, 1 << (num_rows - 1).bit_length())
    if num_columns > num_places:
        raise ArgumentError(
            f"`{name}` must be at most {num_places}, the number of Walsh columns for {num_rows} "
            f"weights (got {num_columns}). Use None for one per weight."
        )
    # not default_rng, whose numbers may change with numpy: files store angles without columns
    generator = np.random.RandomState(SEED_OF_COLUMNS)
    bits = num_places.bit_length() - 1
    chosen = _independent_columns(min(num_columns, num_rows), num_rows, bits, generator)
    others = np.setdiff1d(np.arange(1, num_places), chosen)
    further = np.append(generator.permutation(others), np.setdiff1d([0], chosen))
    return np.sort(np.append(chosen, further[: num_columns - chosen.size]))


def _independent_columns(
    num_columns: int, num_rows: int, num_bits: int, generator: np.random.RandomState
) -> Int64[np.ndarray, " K"]:
    """Return columns of ``num_bits`` bits that are independent on the first rows; K <= M."""
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
