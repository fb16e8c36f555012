r"""Uniformly controlled RY: one angle per value of the controls, as a chain of RY and CX.

The chain has one RY per Walsh column :math:`c`, in the order of the Gray code, with the angle
:math:`\hat\theta_c = \frac1N \sum_k (-1)^{popcount(c \& k)} \theta_k`.

References:
    Mottonen et al., arXiv:quant-ph/0404089 (uniformly controlled rotations).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit

from hybridopt.circuits.gates import Angle


def walsh_hadamard(values: Float64[np.ndarray, "*rows n"]) -> Float64[np.ndarray, "*rows n"]:
    r"""Return :math:`y_k = \sum_l (-1)^{popcount(k \& l)} x_l` in ``n log2 n`` additions per row.

    References:
        Fino and Algazi, IEEE Trans. Comput. C-25, 1142 (1976).
    """
    result, width = values.copy(), 1
    while width < values.shape[-1]:
        pairs = result.reshape(-1, 2, width)
        upper = pairs[:, 0] + pairs[:, 1]
        pairs[:, 1] = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] = upper
        width *= 2
    return result


def gray_code(index: int) -> int:
    """Return the reflected binary code of ``index``; cyclic neighbours differ in one bit."""
    return index ^ (index >> 1)


def chain_steps(
    num_controls: int, columns: Iterable[int] | None = None
) -> list[tuple[int, list[int]]]:
    """Return the gate chain: the Walsh column of each angle, and the controls of the CX after it.

    The CX lead from one Walsh column to the next in the order of the Gray code, one CX per step if
    ``columns`` is None (all). Column 0 is always included.
    """
    size = 1 << num_controls
    order = [gray_code(position) for position in range(size)]
    if columns is not None:
        kept = {0, *columns}
        order = [column for column in order if column in kept]
    changes = [here ^ there for here, there in zip(order, [*order[1:], 0], strict=True)]
    return [
        (column, [bit for bit in range(num_controls) if change >> bit & 1])
        for column, change in zip(order, changes, strict=True)
    ]


def append_chain(
    circuit: QuantumCircuit,
    angle: Callable[[int], Angle],
    controls: Sequence[int],
    target: int,
    columns: Iterable[int] | None = None,
) -> None:
    """Append the gates of `chain_steps`; ``angle`` maps a column to its angle [rad]."""
    for column, changed in chain_steps(len(controls), columns):
        circuit.ry(angle(column), target)
        for bit in changed:
            circuit.cx(controls[bit], target)
