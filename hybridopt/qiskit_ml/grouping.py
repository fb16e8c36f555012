"""Requests to differentiate, by circuit and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter


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


def columns_of(parameters: Sequence[Parameter], wanted: Iterable[Parameter]) -> list[int]:
    """Where the wanted parameters stand in a row of values."""
    place = {parameter: number for number, parameter in enumerate(parameters)}
    return [place[parameter] for parameter in wanted]
