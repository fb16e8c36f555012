"""Requests for one circuit, together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub

Pub = TypeVar("Pub", EstimatorPub, SamplerPub)


@dataclass(frozen=True, eq=False)
class Group:
    """Requests for one circuit.

    Attributes:
        circuit: The same object in all of them.
        parameters: By which it is differentiated.
        requests: Their numbers.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    requests: list[int] = field(default_factory=list)


def by_circuit(
    circuits: Sequence[QuantumCircuit], parameters: Sequence[Iterable[Parameter]]
) -> list[Group]:
    """Requests for the same circuit and parameters together, in order."""
    groups: dict[tuple[int, tuple[Parameter, ...]], Group] = {}
    for number, (circuit, wanted) in enumerate(zip(circuits, parameters, strict=True)):
        key = (id(circuit), tuple(wanted))
        groups.setdefault(key, Group(circuit, key[1])).requests.append(number)
    return list(groups.values())


def results_by_circuit(
    pubs: Sequence[Pub], run: Callable[[Sequence[Pub]], Sequence[PubResult]]
) -> PrimitiveResult[PubResult]:
    """Results in the order of the pubs, when those that share a circuit are run together."""
    results: list[PubResult | None] = [None] * len(pubs)
    for group in by_circuit([pub.circuit for pub in pubs], [()] * len(pubs)):
        found = run([pubs[number] for number in group.requests])
        for number, result in zip(group.requests, found, strict=True):
            results[number] = result
    return PrimitiveResult(results, metadata={"version": 2})


def columns_of(parameters: Sequence[Parameter], wanted: Iterable[Parameter]) -> list[int]:
    """Where the wanted parameters stand in a row of values."""
    place = {parameter: number for number, parameter in enumerate(parameters)}
    return [place[parameter] for parameter in wanted]
