"""Requests grouped by circuit, and joined to tables of parameter values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64, Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub

PubLike: TypeAlias = Any  # Qiskit's own alias does not include arrays of values
Pub = TypeVar("Pub", EstimatorPub, SamplerPub)


@dataclass(frozen=True, eq=False)
class ValueTable:
    """Rows of parameter values for which the same outputs are requested."""

    values: Float64[np.ndarray, "N P"]
    outputs: tuple[int, ...]
    requests: Int64[np.ndarray, "requests 3"]  # request, row, index of its output in `outputs`


def by_circuit(
    circuits: Sequence[QuantumCircuit], parameters: Sequence[Iterable[Parameter]]
) -> list[list[int]]:
    """Group the indices of requests by circuit object and parameters."""
    groups: dict[tuple[int, tuple[Parameter, ...]], list[int]] = defaultdict(list)
    for number, (circuit, wanted) in enumerate(zip(circuits, parameters, strict=True)):
        groups[id(circuit), tuple(wanted)].append(number)
    return list(groups.values())


def start_job(
    pubs: Sequence[Pub], run: Callable[[Sequence[Pub]], Sequence[PubResult]]
) -> PrimitiveJob[PrimitiveResult[PubResult]]:
    """Start a job that runs pubs of one circuit together; results have the order of the pubs."""

    def results(pubs: Sequence[Pub]) -> PrimitiveResult[PubResult]:
        found: list[PubResult | None] = [None] * len(pubs)
        for numbers in by_circuit([pub.circuit for pub in pubs], [()] * len(pubs)):
            answers = run([pubs[number] for number in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                found[number] = answer
        return PrimitiveResult(found, metadata={"version": 2})

    job = PrimitiveJob(results, pubs)
    job._submit()  # as the primitives of Qiskit do
    return job


def tables_of(
    values: Sequence[Float64[np.ndarray, " P"]], outputs: Iterable[int], *, exact: bool
) -> list[ValueTable]:
    """Join requests for the same values, so that each row runs once for all its outputs."""
    # with shots, a repeated request for the same output and values has its own row and noise
    slots: dict[Any, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    times: dict[tuple[bytes, int], int] = defaultdict(int)
    for number, (row, output) in enumerate(zip(values, outputs, strict=True)):
        content = row.tobytes()
        turn = 0 if exact else times[content, output]
        times[content, output] += 1
        slots[content, turn][output].append(number)
    groups: dict[tuple[int, ...], list[dict[int, list[int]]]] = defaultdict(list)
    for slot in slots.values():
        groups[tuple(sorted(slot))].append(slot)
    tables = []
    for asked, found in groups.items():
        requests = [
            (number, row, place)
            for row, slot in enumerate(found)
            for place, output in enumerate(asked)
            for number in slot[output]
        ]
        rows = np.stack([values[slot[asked[0]][0]] for slot in found])
        tables.append(ValueTable(rows, asked, np.array(requests)))
    return tables
