"""Forward and backward passes of the adjoint rule with noise, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float64

from hybridopt import _validation
from hybridopt.circuits.program import SharedRow
from hybridopt.errors import ResourceError
from hybridopt.execution.aer.density_adjoint.effects import MeasuredReadout
from hybridopt.execution.aer.density_adjoint.pauli_vectors import Matrices, Vectors
from hybridopt.execution.aer.density_adjoint.trail import Move, Trail
from hybridopt.execution.aer.density_adjoint.transfer_circuit import Derivatives, TransferCircuit
from hybridopt.execution.executor import ForwardRecord
from hybridopt.execution.job import Outputs, Rows, Shared, within_period

BYTES = 8
WORKING_VECTORS = 6  # a product, and copies with other orders of axes


class DensityAdjoint(ForwardRecord):
    r"""Evaluation by density matrices, which are kept for the derivative.

    The density matrix :math:`\rho_j` before a gate with transfer matrix :math:`M(\theta)` and the
    observable :math:`O_j` after it, taken back through the adjoint maps, give

    .. math::
        \partial_\theta \langle O \rangle = o_j^T \, \partial_\theta M(\theta) \, r_j .

    Gates that follow all angles of samples act on observables, if there are fewer outputs than
    samples, and on the sum of the weighted density matrices. Their cost then does not depend on the
    number of samples.
    """

    def __init__(
        self,
        circuit: TransferCircuit,
        readout: MeasuredReadout,
        needs: tuple[bool, bool],
        max_memory: int,
        count: Callable[[int], None],
    ) -> None:
        self._circuit, self._readout, self._needs = circuit, readout, needs
        self._max_memory, self._count = max_memory, count
        self._wanted = circuit.wanted(needs)
        self._angles: tuple[np.ndarray, np.ndarray] | None = None
        self._kept: dict[tuple[int, int], _Pass] = {}
        self._size(1)  # raises if one sample does not fit

    def values(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs, and keep the density matrices if they fit."""
        rows, shared = within_period(rows), within_period(shared)
        self._angles, self._kept = (rows.copy(), shared.copy()), {}
        result = np.empty((len(shared), len(rows), self._readout.num_outputs))
        size, stride = self._size(len(rows))
        self._count(len(shared) * len(rows))
        passes = len(shared) * -(-len(rows) // size)
        for s, part in _parts(len(shared), len(rows), size):
            one = self._pass(rows[part], shared[s], stride)
            result[s, part] = one.values
            if passes == 1:
                self._kept[s, part.start] = one
        return result

    def vjp(self, rows: Rows, shared: Shared, cotangent: Outputs) -> tuple[Rows, Shared]:
        """Return derivatives with respect to rows and shared angles; zeros if not needed."""
        rows, shared = within_period(rows), within_period(shared)
        by_rows, by_shared = np.zeros_like(rows), np.zeros_like(shared)
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        size, stride = self._size(len(rows))
        for s, part in _parts(len(shared), len(rows), size):
            if not cotangent[s, part].any() or not self._wanted:
                continue
            one = self._kept.get((s, part.start)) if known else None
            one = one or self._pass(rows[part], shared[s], stride)
            of_rows, of_shared = one.vjp(cotangent[s, part])
            by_rows[part] += of_rows
            by_shared[s] += of_shared
        return by_rows * self._needs[0], by_shared * self._needs[1]

    def _pass(self, rows: Rows, shared: SharedRow, stride: int) -> _Pass:
        return _Pass(self._circuit, self._readout, (rows, shared), self._wanted, stride)

    def _size(self, samples: int) -> tuple[int, int]:
        """Return the number of samples per pass, and the stride of the kept density matrices."""
        circuit, budget = self._circuit, self._max_memory // 2
        vector = BYTES * 4**circuit.num_qubits
        for stride in (1, max(2, math.isqrt(len(circuit.steps)))):
            held = WORKING_VECTORS + circuit.kept_vectors(self._wanted, stride)
            fit = budget // (held * vector + circuit.bytes_per_sample)
            if fit:
                return min(fit, max(1, samples)), stride
        needed = _validation.memory_text(2 * (held * vector + circuit.bytes_per_sample), up=True)
        raise ResourceError(
            f"`max_memory` must be at least {needed} for the adjoint rule with noise on "
            f"{circuit.num_qubits} qubits (got {_validation.memory_text(self._max_memory)}). "
            'Raise it, or use `gradient="parameter-shift"`.'
        )


class _Pass:
    """Forward pass of some samples at one row of shared angles, and its backward pass."""

    def __init__(
        self,
        circuit: TransferCircuit,
        readout: MeasuredReadout,
        angles: tuple[Rows, SharedRow],
        wanted: frozenset[int],
        stride: int,
    ) -> None:
        self._circuit, self._readout, self._given = circuit, readout, angles
        self._wanted, self._stride = wanted, stride
        self._angles = circuit.angles(*angles)
        self._matrices = circuit.matrices(self._angles)
        start = np.zeros((4,) * circuit.num_qubits)
        start[np.ix_(*[[0, 3]] * circuit.num_qubits)] = 1.0  # I and Z of |0><0|
        self._head = self._trail(start.reshape(1, -1), circuit.head)
        self._middle = self._trail(self._head.end, circuit.middle)
        self._states = states = self._middle.end
        outputs = readout.num_outputs
        self._by_observables = outputs < len(states)
        if self._by_observables:
            observables = readout.observables(np.eye(outputs))
            self._tail = self._trail(observables, circuit.tail, back=True)
            values = states @ self._tail.end.T + readout.constants()
        else:
            self._tail = self._trail(states, circuit.tail)
            values = readout.values(self._tail.end)
        self.values: Float64[np.ndarray, "b K"] = np.broadcast_to(values, (len(angles[0]), outputs))

    def vjp(self, cotangent: Float64[np.ndarray, "b K"]) -> Derivatives:
        """Return derivatives of the weighted sum of the outputs."""
        slopes: dict[int, Matrices] = {}
        if len(self._states) == 1:  # all samples are equal
            cotangent = cotangent.sum(0, keepdims=True)
        before = not self._wanted.isdisjoint([*self._circuit.head, *self._circuit.middle])
        if self._by_observables:
            self._tail.back(cotangent.T @ self._states, slopes, whole=False)
            vectors = cotangent @ self._tail.end
        else:
            observables = self._readout.observables(cotangent)
            vectors = self._tail.back(observables, slopes, whole=before)
        if before:
            in_head = not self._wanted.isdisjoint(self._circuit.head)
            vectors = self._middle.back(vectors, slopes, whole=in_head)
            if in_head:
                self._head.back(vectors.sum(0, keepdims=True), slopes, whole=False)
        return self._circuit.slopes(self._angles, slopes, self._given)

    def _trail(self, start: Vectors, numbers: Sequence[int], *, back: bool = False) -> Trail:
        circuit = self._circuit
        moves = [
            Move(number, self._matrices[number], circuit.places[number], back)
            for number in (reversed(numbers) if back else numbers)
        ]
        return Trail(start, moves, self._wanted, self._stride)


def _parts(tables: int, samples: int, size: int) -> Iterator[tuple[int, slice]]:
    for s in range(tables):
        for start in range(0, samples, size):
            yield s, slice(start, min(start + size, samples))
