"""How a circuit file names what samples bring and what is trained: x0, x1, ... and w0, w1, ..."""

from __future__ import annotations

import re
from typing import NamedTuple

CONVENTION = (
    "Samples bring `input float x0; input float x1; ...`, and `input float w0; ...` is trained; "
    "they are taken in the order of their numbers. `hybridopt.save_circuit` writes any circuit "
    "so, whatever its parameters are called."
)
# `x[3]` of a Qiskit ParameterVector becomes `_x_3_` in qiskit.qasm3.dumps
_NAME = re.compile(r"([xw])_?([0-9]+)|_([xw])_([0-9]+)_")


class Place(NamedTuple):
    """Where a parameter stands.

    Attributes:
        kind: ``"x"`` or ``"w"``.
        number: Its number among those of its kind.
    """

    kind: str
    number: int


def place_of(name: str) -> Place | None:
    """Kind and number of a parameter, or None if its name is not one of the convention.

    Example:
        >>> place_of("x10"), place_of("_w_3_"), place_of("theta")
        (Place(kind='x', number=10), Place(kind='w', number=3), None)
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind, number = (part for part in match.groups() if part is not None)
    return Place(kind, int(number))
