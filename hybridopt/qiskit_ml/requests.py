"""Requests grouped by circuit, and joined to tables of parameter values."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64, Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub

from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuit

QUBITS_OF_A_SHORT_JOB = 12  # a run takes milliseconds; the start of a thread takes 0.5 ms

PubLike: TypeAlias = Any  # Qiskit's own alias does not include arrays of values
Pub = TypeVar("Pub", EstimatorPub, SamplerPub)


@dataclass(frozen=True, eq=False)
class Request(Generic[Pub]):
    """Pub with its compiled circuit and its shots per setting; None if exact."""

    pub: Pub
    compiled: CompiledCircuit
    shots: int | None


@dataclass(frozen=True, eq=False)
class ValueTable:
    """Rows of parameter values for which the same outputs are requested."""

    values: Float64[np.ndarray, "N P"]
    outputs: tuple[int, ...]
    requests: Int64[np.ndarray, "requests 3"]  # request, row, index of its output in `outputs`


class AerJob(PrimitiveJob):  # type: ignore[misc]
    """Job that can be pickled when it has its result."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_function": None}  # it holds compiled circuits


class InlineJob(AerJob):
    """Job that runs in the thread of its caller, because it is shorter than the start of a thread.

    Optimizers ask for one value at a time.
    """

    def _submit(self) -> None:
        self._future: Future[PrimitiveResult[PubResult]] = Future()
        self._future.set_result(self._function(*self._args, **self._kwargs))


def by_circuit(
    circuits: Sequence[QuantumCircuit], parameters: Sequence[Iterable[Parameter]]
) -> list[list[int]]:
    """Group the indices of requests by circuit object and parameters."""
    groups: dict[tuple[int, tuple[Parameter, ...]], list[int]] = defaultdict(list)
    for number, (circuit, wanted) in enumerate(zip(circuits, parameters, strict=True)):
        groups[id(circuit), tuple(wanted)].append(number)
    return list(groups.values())


def start_job(
    requests: Sequence[Request[Pub]],
    run: Callable[[Sequence[Request[Pub]]], Sequence[PubResult]],
) -> PrimitiveJob[PrimitiveResult[PubResult]]:
    """Start a job that runs requests of one circuit with equal shots together."""

    def results() -> PrimitiveResult[PubResult]:
        groups: dict[tuple[int, int | None], list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            groups[id(request.compiled), request.shots].append(number)
        found: list[PubResult | None] = [None] * len(requests)
        for numbers in groups.values():
            group = [requests[number] for number in numbers]
            with group[0].compiled.lock:
                answers = run(group)
            for number, answer in zip(numbers, answers, strict=True):
                found[number] = answer
        return PrimitiveResult(found, metadata={"version": 2})

    job = InlineJob(results) if _is_short(requests) else AerJob(results)
    job._submit()  # as the primitives of Qiskit do
    return job


def _is_short(requests: Sequence[Request[Pub]]) -> bool:
    """Return whether the job is one run of a small state."""
    if len(requests) != 1 or math.prod(requests[0].pub.shape) != 1:
        return False
    compiled = requests[0].compiled
    num_qubits = len(compiled.physical.qubits_for(()))
    return not compiled.executor.has_noise and num_qubits <= QUBITS_OF_A_SHORT_JOB


def tables_of(
    values: Sequence[Float64[np.ndarray, " P"]], outputs: Iterable[int], *, exact: bool
) -> list[ValueTable]:
    """Join requests for the same values, so that each row runs once for all its outputs."""
    if len(values) == 1:
        return [ValueTable(values[0][None], tuple(outputs), np.zeros((1, 3), dtype=int))]
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
