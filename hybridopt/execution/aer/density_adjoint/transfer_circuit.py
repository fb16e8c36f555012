"""Noisy circuit as three parts: before, among and after the gates with angles of samples."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from qiskit.circuit import Parameter

from hybridopt.circuits.program import SharedRow
from hybridopt.execution.aer.density_adjoint.pauli_transfer import (
    Frequencies,
    feature_slopes,
    features,
)
from hybridopt.execution.aer.density_adjoint.pauli_vectors import Matrices, Place
from hybridopt.execution.aer.density_adjoint.steps import Step
from hybridopt.execution.job import Rows

Derivatives = tuple[Rows, SharedRow]
Angles = Float64[np.ndarray, "N slots"]  # of all gates [rad]; N is 1 for gates of all samples


@dataclass(frozen=True, eq=False)
class Kind:
    """Steps whose features have the same form, for one product of arrays."""

    frequencies: tuple[Frequencies, ...]  # of each angle of a step
    numbers: list[int]  # of the steps
    slots: Int64[np.ndarray, "A k"]  # place of each angle in the table of all angles
    coefficients: Float64[np.ndarray, "A F dd"]

    def matrices(self, angles: Angles) -> Float64[np.ndarray, "A N d d"]:
        """Return the transfer matrix of each step."""
        found = [
            features(angles[:, column], one)
            for column, one in zip(self.slots.T, self.frequencies, strict=True)
        ]
        products = np.matmul(_outer(found).swapaxes(0, 1), self.coefficients)
        size = math.isqrt(products.shape[-1])
        return np.asarray(products.reshape(*products.shape[:2], size, size))

    def slopes(
        self, angles: Angles, by_matrix: Float64[np.ndarray, "A N d d"]
    ) -> Float64[np.ndarray, "N A k"]:
        """Return derivatives with respect to the angles, from those of the matrices."""
        shape = (*by_matrix.shape[:2], -1)
        by_feature = np.matmul(by_matrix.reshape(shape), self.coefficients.swapaxes(1, 2))
        pairs = list(zip(self.slots.T, self.frequencies, strict=True))
        found = []
        for place in range(len(pairs)):
            factors = [
                (feature_slopes if number == place else features)(angles[:, column], one)
                for number, (column, one) in enumerate(pairs)
            ]
            found.append((_outer(factors).swapaxes(0, 1) * by_feature).sum(-1).T)
        return np.stack(found, axis=-1)


def _outer(factors: list[np.ndarray]) -> np.ndarray:
    """Return products of the features of all angles, the first as the slowest index."""
    result = factors[0]
    for factor in factors[1:]:
        result = (result[..., None] * factor[..., None, :]).reshape(*result.shape[:-1], -1)
    return result


class TransferCircuit:
    """Steps of a circuit, with the tables of their angles and matrices.

    Attributes:
        num_qubits: Number of qubits.
        head: Steps before all angles of samples; one state serves all samples.
        middle: Steps with angles of samples, and those between them.
        tail: Steps that no angle of a sample follows; one observable serves all samples.
    """

    def __init__(
        self,
        num_qubits: int,
        steps: Sequence[Step],
        row_parameters: Sequence[Parameter],
        shared_parameters: Sequence[Parameter],
    ) -> None:
        self.num_qubits = num_qubits
        self.steps = tuple(steps)
        self.places = [Place.of(step.qubits, num_qubits) for step in steps]
        self.head, self.middle, self.tail = _parts(self.steps)
        rows = {parameter: place for place, parameter in enumerate(row_parameters)}
        shared = {parameter: place for place, parameter in enumerate(shared_parameters)}
        self._slots = _slots(self.steps)
        every = [angle for step in steps for angle in step.angles]
        self._constants = np.array([angle.constant for angle in every])
        terms = [(slot, *term) for slot, angle in enumerate(every) for term in angle.terms]
        self._of_rows = _Linear([(s, rows[p], c) for s, p, c in terms if p in rows])
        self._of_shared = _Linear([(s, shared[p], c) for s, p, c in terms if p in shared])
        self._kinds = {flag: self._kinds_of(per_sample=flag) for flag in (False, True)}

    def wanted(self, needs: tuple[bool, bool]) -> frozenset[int]:
        """Return the steps whose derivatives are needed, for (rows, shared angles)."""
        by_kind = self._of_rows.slots, self._of_shared.slots
        slots = {slot for need, held in zip(needs, by_kind, strict=True) if need for slot in held}
        return frozenset(n for n, held in enumerate(self._slots) if not slots.isdisjoint(held))

    def kept_vectors(self, wanted: Collection[int], stride: int) -> int:
        """Return the largest number of vectors per sample that are kept at one time."""
        return len(wanted) if stride == 1 else len(self.steps) // stride + stride + 3

    @property
    def bytes_per_sample(self) -> int:
        """Size of the angles, features and matrices of one sample, with copies."""
        sizes = (sum(step.coefficients.shape[:2]) ** 2 for step in self.steps if step.per_sample)
        return 8 * 4 * (len(self._constants) + sum(sizes))

    def angles(self, rows: Rows, shared: SharedRow) -> dict[bool, Angles]:
        """Return the angles of gates of all samples (False), and of those that differ (True)."""
        common = self._constants + self._of_shared.sums(shared[None], len(self._constants))
        each = common + self._of_rows.sums(rows, len(self._constants))
        return {False: common, True: each}

    def matrices(self, angles: dict[bool, Angles]) -> list[Matrices]:
        """Return the transfer matrix of each step, or one per sample."""
        found: list[Matrices] = [step.coefficients[0] for step in self.steps]
        for per_sample, kinds in self._kinds.items():
            for kind in kinds:
                for number, one in zip(
                    kind.numbers, kind.matrices(angles[per_sample]), strict=True
                ):
                    found[number] = one if per_sample else one[0]
        return found

    def slopes(
        self, angles: dict[bool, Angles], by_matrix: dict[int, Matrices], given: Derivatives
    ) -> Derivatives:
        """Return derivatives with respect to rows and shared angles, from those of matrices."""
        by_rows, by_shared = np.zeros_like(given[0]), np.zeros_like(given[1][None])
        for per_sample, kinds in self._kinds.items():
            table = np.zeros_like(angles[per_sample])
            for kind in kinds:
                shape = len(table), *self.steps[kind.numbers[0]].coefficients.shape[1:]
                zeros = np.zeros(shape)
                each = [by_matrix.get(number, zeros).reshape(shape) for number in kind.numbers]
                table[:, kind.slots] = kind.slopes(angles[per_sample], np.stack(each))
            if per_sample:
                self._of_rows.spread(table, by_rows)
            self._of_shared.spread(table.sum(0, keepdims=True), by_shared)
        return by_rows, by_shared[0]

    def _kinds_of(self, *, per_sample: bool) -> list[Kind]:
        groups: dict[object, list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            if step.angles and step.per_sample is per_sample:
                groups[step.frequencies, step.coefficients.shape].append(number)
        kinds = []
        for numbers in groups.values():
            steps = [self.steps[number] for number in numbers]
            slots = np.array([self._slots[number] for number in numbers])
            coefficients = np.stack([step.coefficients for step in steps])
            flat = coefficients.reshape(*coefficients.shape[:2], -1)
            kinds.append(Kind(steps[0].frequencies, numbers, slots, flat))
        return kinds


class _Linear:
    """Sparse matrix from angles of a program to angles of gates."""

    def __init__(self, entries: list[tuple[int, int, float]]) -> None:
        self.slots = [slot for slot, _, _ in entries]
        self._columns = [column for _, column, _ in entries]
        self._factors = np.array([factor for _, _, factor in entries])

    def sums(self, table: np.ndarray, num_slots: int) -> Angles:
        """Return the angles of gates from a table of angles of the program."""
        found = np.zeros((num_slots, len(table)))
        np.add.at(found, self.slots, (table[:, self._columns] * self._factors).T)
        return found.T

    def spread(self, slopes: Angles, result: np.ndarray) -> None:
        """Add derivatives of angles of gates to those of angles of the program."""
        np.add.at(result.T, self._columns, (slopes[:, self.slots] * self._factors).T)


def _slots(steps: Sequence[Step]) -> list[range]:
    """Return the places of the angles of each step in a table of all angles."""
    ends = np.cumsum([0, *(len(step.angles) for step in steps)]).tolist()
    return [range(*pair) for pair in itertools.pairwise(ends)]


def _parts(steps: Sequence[Step]) -> tuple[list[int], list[int], list[int]]:
    """Return the numbers of the steps of head, middle and tail."""
    qubits, marked = [step.qubits for step in steps], [step.per_sample for step in steps]
    before, tail = reached_from(range(len(steps))[::-1], qubits, marked)
    among, head = reached_from(before[::-1], qubits, marked)
    return head, among, tail[::-1]


def reached_from(
    order: Sequence[int], qubits: Sequence[tuple[int, ...]], marked: Sequence[bool]
) -> tuple[list[int], list[int]]:
    """Return the steps that a marked step reaches through qubits, in this order, and the others."""
    reached, others, touched = [], [], set[int]()
    for number in order:
        if marked[number] or not touched.isdisjoint(qubits[number]):
            touched.update(qubits[number])
            reached.append(number)
        else:
            others.append(number)
    return reached, others
