r"""Operators on a chain of qubits as products of small tensors, one per qubit.

A core of shape (w, 2, 2, w') is a matrix of operators on its qubit. The operator is the product of
the matrices. The bond dimension w is the rank of the coefficients between both sides of the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, SparsePauliOp

from hybridopt.circuits.gates import Family
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import Rotation
from hybridopt.execution.readout import Expectations, Readout

Core = Complex128[np.ndarray, "_ 2 2 _"]
Basis = Complex128[np.ndarray, "d 2 2"]  # of operators on one qubit

ROUNDING = 1e-15  # of the largest singular value; ranks below it are rounding errors
_X, _Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
PAULIS = np.array([np.eye(2), _X, _Z, 1j * _X @ _Z])  # number: bit of x + 2 * bit of z
PROJECTORS = np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=np.complex128)
UNITS = np.eye(4, dtype=np.complex128).reshape(4, 2, 2)


@dataclass(frozen=True, eq=False)
class ChainOperator:
    """Operator with one core per qubit on which it acts; the identity on all others."""

    cores: dict[int, Core]  # by qubit, in ascending order
    is_string: bool = False  # whether it is a multiple of a Pauli string

    @property
    def first(self) -> int:
        """Lowest qubit."""
        return min(self.cores)

    @property
    def last(self) -> int:
        """Highest qubit."""
        return max(self.cores)


def generator(rotation: Rotation) -> ChainOperator:
    """Return the generator of a rotation."""
    family, count = rotation.family, len(rotation.qubits)
    order = np.argsort(rotation.qubits)
    axes = [count - 1 - place for place in order.tolist()]  # the first axis is the highest bit
    if set(family.frames) <= {"X", "Y", "Z"}:
        table = family.eigenvalues.reshape((2,) * count).transpose(axes)
        frames = _frames(family)
        bases = [frames[place] @ PROJECTORS @ frames[place].conj().T for place in order.tolist()]
    else:
        pairs = [axis for place in axes for axis in (place, place + count)]
        table = _matrix(family).reshape((2,) * (2 * count)).transpose(pairs).reshape((4,) * count)
        bases = [UNITS] * count
    train = tensor_train(table.astype(np.complex128))
    cores = [_core(one, basis) for one, basis in zip(train, bases, strict=True)]
    return ChainOperator(dict(zip(sorted(rotation.qubits), cores, strict=True)))


def weighted_sum(
    program: CircuitProgram, readout: Readout, weights: Float64[np.ndarray, " K"]
) -> ChainOperator | None:
    """Return the sum of weights times observables without the identity; None if it is zero.

    Probabilities are those of projectors, without post-selection.
    """
    if not weights.any():
        return None
    if isinstance(readout, Expectations):
        kept = program.derived("sums of strings", WeakKeyDictionary[Readout, StringSums])
        if readout not in kept:
            kept[readout] = StringSums(readout.observables)
        return kept[readout](weights)
    qubits = list(readout.qubits or range(program.num_qubits))
    axes = [len(qubits) - 1 - place for place in np.argsort(qubits).tolist()]
    train = tensor_train(weights.astype(np.complex128).reshape((2,) * len(qubits)).transpose(axes))
    return ChainOperator(
        {q: _core(one, PROJECTORS) for q, one in zip(sorted(qubits), train, strict=True)}
    )


def tensor_train(table: Complex128[np.ndarray, "*d"]) -> list[Complex128[np.ndarray, "w d v"]]:
    """Return tensors, one per axis, whose product is a table; ranks are those of its cuts."""
    train: list[np.ndarray] = []
    left, rest = 1, table
    for size in table.shape[:-1]:
        factor, rest = _split(rest.reshape(left * size, -1))
        train.append(factor.reshape(left, size, -1))
        left = len(rest)
    return [*train, rest.reshape(left, table.shape[-1], 1)]


class StringSums:
    """Sums of the Pauli strings of some observables, which differ by their coefficients only."""

    def __init__(self, observables: Sequence[SparsePauliOp]) -> None:
        letters = np.concatenate([one.paulis.x + 2 * one.paulis.z for one in observables])
        outputs = np.repeat(np.arange(len(observables)), list(map(len, observables)))
        coefficients = np.concatenate([one.coeffs for one in observables])
        acts = letters.any(axis=1)  # the identity has no derivative
        letters, self._outputs, self._coefficients = (
            letters[acts],
            outputs[acts],
            coefficients[acts],
        )
        self._qubits = np.flatnonzero(letters.any(axis=0)).tolist()
        endings, place = np.unique(letters[:, self._qubits], axis=0, return_inverse=True)
        self._string, self._count = place.ravel(), len(endings)
        # per qubit: the letter of each string, the number of its ending, and that of all endings
        self._steps: list[tuple[np.ndarray, np.ndarray, int]] = []
        for _ in self._qubits:
            rest, place = np.unique(endings[:, 1:], axis=0, return_inverse=True)
            self._steps.append((endings[:, 0], place.ravel(), len(rest)))
            endings = rest

    def __call__(self, weights: Float64[np.ndarray, " K"]) -> ChainOperator | None:
        """Return the sum of weights times observables without the identity; None if it is zero."""
        coefficients = np.zeros(self._count, dtype=np.complex128)
        np.add.at(coefficients, self._string, weights[self._outputs] * self._coefficients)
        if not coefficients.any():
            return None
        train = self._train(coefficients)
        pairs = zip(self._qubits, train, strict=True)
        return ChainOperator({q: _core(one, PAULIS) for q, one in pairs}, self._count == 1)

    def _train(self, coefficients: Complex128[np.ndarray, " T"]) -> list[np.ndarray]:
        """Return the tensor train of a sum of strings, without a table of 4^n entries."""
        train: list[np.ndarray] = []
        rest = coefficients[None]  # rows: left of the cut; columns: different strings right of it
        for letters, place, count in self._steps:
            joined = np.zeros((4, count, len(rest)), dtype=np.complex128)
            joined[letters, place] = rest.T  # all strings differ
            factor, rest = _split(joined.transpose(2, 0, 1).reshape(-1, count))
            train.append(factor.reshape(joined.shape[2], 4, -1))
        train[-1] = train[-1] * rest  # a number
        return train


def _split(matrix: Complex128[np.ndarray, "m n"]) -> tuple[np.ndarray, np.ndarray]:
    """Return two factors of a matrix, with its rank as the inner size."""
    if matrix.shape[1] == 1:
        norm = float(np.linalg.norm(matrix))
        return matrix / norm, np.array([[norm]])
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int(np.count_nonzero(s > ROUNDING * s[0])))
    return u[:, :rank], s[:rank, None] * vh[:rank]


def _core(part: Complex128[np.ndarray, "w d v"], basis: Basis) -> Core:
    return np.asarray(np.einsum("wdv,dst->wstv", part, basis))


def _frames(family: Family) -> list[Complex128[np.ndarray, "2 2"]]:
    """Return the change of frame of each qubit."""
    frames = [np.eye(2, dtype=np.complex128) for _ in family.frames]
    for gate, (place,) in family.out_of_frame:
        frames[place] = gate.to_matrix() @ frames[place]
    return frames


def _matrix(family: Family) -> Complex128[np.ndarray, "dim dim"]:
    """Return the generator of a family whose frame is one of several qubits."""
    frame = QuantumCircuit(len(family.frames))
    for gate, places in family.out_of_frame:
        frame.append(gate, places)
    change = Operator(frame).data
    return np.asarray((change * family.eigenvalues) @ change.conj().T)
