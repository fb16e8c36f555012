"""Circuits as few small matrices: neighbouring gates are multiplied, also those with angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.circuit import Instruction
from qiskit.circuit.library import CXGate
from qiskit.quantum_info import Operator

from hybridopt.circuits.steps import FixedGate, Rotation
from hybridopt.execution.aer.in_place.state import Matrix, Placed

WIDTH = 3  # qubits of a product of gates; measured: 2 to 4 take about as long per circuit
ROUNDING = 1e-14  # of a product of gates that is the identity

Member = tuple[tuple[int, ...], Matrix | Rotation]  # a rotation stands for its phases


@dataclass(eq=False)
class _Product:
    """Gates that become one matrix."""

    qubits: list[int]
    members: list[Member] = field(default_factory=list)


class Fuser:
    """Products of neighbouring gates, in order."""

    def __init__(self) -> None:
        self.products: list[_Product] = []
        self._last: dict[int, _Product] = {}  # by qubit

    def add(self, gates: Sequence[FixedGate]) -> None:
        """Append gates without free angles."""
        for item in gates:
            self._append(item.qubits, matrix_of(item.gate))

    def add_phases(self, rotation: Rotation) -> None:
        """Append a rotation by a shared angle, in its frame."""
        self._append(rotation.qubits, rotation)

    def _append(self, qubits: tuple[int, ...], what: Matrix | Rotation) -> None:
        owners = list(dict.fromkeys(self._last[q] for q in qubits if q in self._last))
        if len(owners) == 1 and set(qubits) <= set(owners[0].qubits):
            owners[0].members.append((qubits, what))
            return
        joined, union = [], set(qubits)
        for owner in owners:
            wider = union.union(owner.qubits)
            is_last = all(self._last[qubit] is owner for qubit in owner.qubits)
            if is_last and len(wider) <= max(WIDTH, len(qubits)):
                joined.append(owner)
                union = wider
        members = [member for product in joined for member in product.members]
        self.products = [product for product in self.products if product not in joined]
        new = _Product(sorted(union), [*members, (qubits, what)])
        self.products.append(new)
        self._last.update(dict.fromkeys(new.qubits, new))


def matrix_of(gate: Instruction) -> Matrix:
    """Return the matrix of a gate without free angles."""
    return np.asarray(Operator(gate).data)


def _local(qubits: Sequence[int], within: Sequence[int]) -> np.ndarray:
    """Return the index of each basis state of ``within``, in a gate on ``qubits``."""
    index = np.arange(1 << len(within))
    bits = (((index >> within.index(q)) & 1) << place for place, q in enumerate(qubits))
    return np.asarray(sum(bits))


def embedded(matrix: Matrix, qubits: Sequence[int], within: Sequence[int]) -> Matrix:
    """Return a gate on some qubits as a matrix on more qubits."""
    local = _local(qubits, within)
    mask = sum(1 << within.index(qubit) for qubit in qubits)
    others = np.arange(len(local)) & ~mask
    same = others[:, None] == others[None, :]
    return np.where(same, matrix[local[:, None], local[None, :]], 0)


@dataclass(eq=False)
class _Factors:
    """A product as ``F_m D_m ... F_1 D_1 F_0``, with phases D of angles."""

    fixed: list[Matrix]
    angles: list[list[int]]  # of each D
    eigenvalues: list[list[Float64[np.ndarray, " dim"]]]


def _factors(product: _Product) -> _Factors:
    """Return the factors of a product, with each gate as early as its qubits allow."""
    dim = 1 << len(product.qubits)
    result = _Factors([np.eye(dim, dtype=np.complex128)], [], [])
    level = dict.fromkeys(product.qubits, 0)  # of the last factor on each qubit
    ends_fixed = dict.fromkeys(product.qubits, False)  # whether it is an F
    for qubits, what in product.members:
        if isinstance(what, Rotation):
            place = max(1, *(level[q] + ends_fixed[q] for q in qubits))
            if place > len(result.angles):
                result.angles.append([])
                result.eigenvalues.append([])
                result.fixed.append(np.eye(dim, dtype=np.complex128))
            result.angles[place - 1].append(what.angle)
            local = _local(qubits, product.qubits)
            result.eigenvalues[place - 1].append(what.family.eigenvalues[local])
        else:
            place = max(level[q] for q in qubits)
            result.fixed[place] = embedded(what, qubits, product.qubits) @ result.fixed[place]
        level.update(dict.fromkeys(qubits, place))
        ends_fixed.update(dict.fromkeys(qubits, not isinstance(what, Rotation)))
    return result


class _Alike:
    """Products of equal form, whose matrices are computed together."""

    def __init__(self, places: list[int], factors: list[_Factors]) -> None:
        self.places = places
        depth, dim = len(factors[0].angles), len(factors[0].fixed[0])
        self.shape = depth, len(factors), dim  # of their phases
        first = np.stack([one.fixed[0] for one in factors])
        self._first = None if is_identity(first) else first
        self._fixed = [np.stack([f.fixed[d + 1] for f in factors]) for d in range(depth)]

    def matrices(
        self, phases: Complex128[np.ndarray, "depth N dim"]
    ) -> Complex128[np.ndarray, "N dim dim"]:
        """Return the matrix of each product."""
        result = self._first
        for level, fixed in zip(phases, self._fixed, strict=True):
            if result is None:
                result = fixed * level[:, None, :]
            else:
                result = fixed @ (level[:, :, None] * result)
        assert result is not None
        return result


class _Phases:
    """Phases of all products, in one table: exponents are sums of angles times eigenvalues."""

    def __init__(self, groups: Sequence[list[_Factors]]) -> None:
        rows = [  # of basis states, in the order of `_Alike.shape`
            (one.angles[level], column)
            for factors in groups
            for level in range(len(factors[0].angles))
            for one in factors
            for column in np.stack(one.eigenvalues[level], axis=1)
        ]
        most = max((len(angles) for angles, _ in rows), default=0)
        self._angles = np.zeros((len(rows), most), dtype=np.int64)
        self._eigenvalues = np.zeros((len(rows), most))  # 0 in unused places
        for place, (angles, eigenvalues) in enumerate(rows):
            self._angles[place, : len(angles)] = angles
            self._eigenvalues[place, : len(angles)] = eigenvalues

    def at(self, angles: Float64[np.ndarray, " A"]) -> Complex128[np.ndarray, " states"]:
        """Return the phase of each basis state of each product."""
        return np.asarray(np.exp(-1j * (angles[self._angles] * self._eigenvalues).sum(axis=1)))


def is_identity(matrices: Complex128[np.ndarray, "*N dim dim"]) -> bool:
    """Return True if all matrices are 1 up to rounding."""
    return bool(np.abs(matrices - np.eye(matrices.shape[-1])).max() < ROUNDING)


class FusedGates:
    """Lists of gates, one per segment of a circuit, at given shared angles."""

    def __init__(self, segments: Sequence[Fuser]) -> None:
        self._template: list[Placed] = []
        self._ends: list[int] = []
        self._skipped = 0  # gates that `start` has applied
        forms: dict[tuple[int, int], list[tuple[int, _Factors]]] = {}
        for segment in segments:
            for product in segment.products:
                factors = _factors(product)
                place = len(self._template)
                if factors.angles:
                    form = len(product.qubits), len(factors.angles)
                    forms.setdefault(form, []).append((place, factors))
                    self._template.append((product.qubits, None))
                elif (fixed := _fixed(product.qubits, factors.fixed[0])) is not None:
                    self._template.append(fixed)
            self._ends.append(len(self._template))
        self._alike = [
            _Alike([place for place, _ in some], [factors for _, factors in some])
            for some in forms.values()
        ]
        self._phases = _Phases([[factors for _, factors in some] for some in forms.values()])

    def take_fixed_start(self) -> list[Placed]:
        """Return the gates of the first segment, and remove them, if none has an angle."""
        end = self._ends[0]
        free = {place for alike in self._alike for place in alike.places}
        if not free.isdisjoint(range(end)):
            return []
        self._skipped = end
        return self._template[:end]

    def at(self, angles: Float64[np.ndarray, " A"]) -> list[list[Placed]]:
        """Return the gates of each segment at shared angles [rad]."""
        gates, phases, first = self._template.copy(), self._phases.at(angles), 0
        for alike in self._alike:
            end = first + math.prod(alike.shape)
            matrices = alike.matrices(phases[first:end].reshape(alike.shape))
            for place, matrix in zip(alike.places, matrices, strict=True):
                gates[place] = gates[place][0], matrix
            first = end
        starts = [self._skipped, *self._ends[:-1]]
        return [gates[start:end] for start, end in zip(starts, self._ends, strict=True)]


def _fixed(qubits: list[int], matrix: Matrix) -> Placed | None:
    """Return a gate without angles; None for the identity."""
    if is_identity(matrix):
        return None
    if len(qubits) == 2:
        for control, target in (qubits, qubits[::-1]):
            if np.array_equal(matrix, embedded(CX, (control, target), qubits)):
                return [control, target], None
    return qubits, matrix


CX = matrix_of(CXGate())


def inverse(gates: Sequence[Placed]) -> list[Placed]:
    """Return the inverse gates in the opposite order."""
    return [(q, None if m is None else m.conj().T) for q, m in reversed(gates)]
