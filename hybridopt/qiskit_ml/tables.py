"""Many single requests, each a row of values and an output, as few tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of values that are all asked for the same outputs.

    Attributes:
        values: Shape ``(N, P)``.
        outputs: Which are asked for.
        requests: For each request that the table answers, its number, its row, and the place of
            its output in ``outputs``.
    """

    values: Float64[np.ndarray, "N P"]
    outputs: tuple[int, ...]
    requests: Int64[np.ndarray, "requests 3"]


def tables_of(
    values: Sequence[Float64[np.ndarray, " P"]], outputs: Iterable[int], *, exact: bool
) -> list[Table]:
    """Join requests for the same values, so that each row runs once for all its outputs.

    With shots, a repeated request for one output at the same values gets a row of its own: it
    must not return the same noise.
    """
    slots: dict[tuple[bytes, int], dict[int, list[int]]] = defaultdict(dict)
    times: dict[tuple[bytes, int], int] = defaultdict(int)
    for number, (row, output) in enumerate(zip(values, outputs, strict=True)):
        content = row.tobytes()
        turn = 0 if exact else times[content, output]
        times[content, output] += 1
        slots[content, turn].setdefault(output, []).append(number)
    alike: dict[tuple[int, ...], list[dict[int, list[int]]]] = defaultdict(list)
    for slot in slots.values():
        alike[tuple(sorted(slot))].append(slot)
    return [_table(values, asked, found) for asked, found in alike.items()]


def _table(
    values: Sequence[Float64[np.ndarray, " P"]],
    outputs: tuple[int, ...],
    slots: Sequence[dict[int, list[int]]],
) -> Table:
    firsts = [slot[outputs[0]][0] for slot in slots]
    requests = [
        (number, row, place)
        for row, slot in enumerate(slots)
        for place, output in enumerate(outputs)
        for number in slot[output]
    ]
    return Table(np.stack([values[first] for first in firsts]), outputs, np.array(requests))
