r"""Observables on states: expectation values, and :math:`\lambda = \sum_k g_k O_k \phi`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Complex128, Float64, Int64
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.memory_budget import BYTES_PER_COMPLEX, MOST_OF_OBSERVABLES, Limits
from hybridopt.execution.readout import Expectations, Readout

States = Complex128[np.ndarray, "B dim"]
Integers = Int64[np.ndarray, " strings"]
Term = tuple[int, Integers, np.ndarray]  # flipped bits, observables, and a row for each


class ObservableAction:
    r"""Observables of a readout, applied to states.

    Pauli strings are :math:`i^{|x \wedge z|} X^x Z^z`. Those with the same x act by one permutation
    of the amplitudes and one diagonal, the Walsh-Hadamard transform of their coefficients.
    Probabilities are without post-selection.

    Args:
        readout: Readout of a program.
        program: Program with the qubits of the readout.
        memory: Largest memory of tables that are kept [bytes].
    """

    def __init__(
        self, readout: Readout, program: CircuitProgram, memory: int = MOST_OF_OBSERVABLES
    ) -> None:
        self._dim = 1 << program.num_qubits
        self._kept: list[Term] = []
        self._is_pauli = isinstance(readout, Expectations)
        if isinstance(readout, Expectations):
            self._num_outputs = len(readout.observables)
            self._strings = _Strings(readout.observables)
            row = self._dim * BYTES_PER_COMPLEX
            self._rows_at_once = max(1, memory // (4 * row))
            if self._strings.num_rows * row <= memory:  # larger tables are computed in each call
                self._kept = list(self._terms())
        else:
            qubits = readout.qubits or range(program.num_qubits)
            index = np.arange(self._dim)  # of basis states, each of which has an outcome
            self._outcome = sum(((index >> q) & 1) << place for place, q in enumerate(qubits))

    @classmethod
    def of(cls, program: CircuitProgram, readout: Readout, limits: Limits) -> ObservableAction:
        """Return the action of a readout, computed once per program and memory limit."""
        memory = limits.of_observables
        kept = program.derived(
            ("observables", memory), WeakKeyDictionary[Readout, ObservableAction]
        )
        if readout not in kept:
            kept[readout] = cls(readout, program, memory)
        return kept[readout]

    def __call__(self, weights: Float64[np.ndarray, "B K"], states: States) -> States:
        """Return lambda for every sample."""
        if not self._is_pauli:
            return np.asarray(weights[:, self._outcome] * states)
        constants, result = self._strings.constants, None
        if constants.any():
            result = np.asarray((weights @ constants)[:, None] * states)
        for flip, which, factors in self._kept or self._terms():
            term = (weights[:, which] @ factors) * self._moved(states, flip)
            result = term if result is None else np.add(result, term, out=result)
        return np.zeros_like(states) if result is None else result

    def values(self, states: States) -> Float64[np.ndarray, "B K"]:
        """Return the expectation values of Pauli sums in normalized states."""
        assert self._is_pauli
        result = np.tile(self._strings.constants, (len(states), 1))  # exact, whatever the norm
        bras = states.conj()
        for flip, which, factors in self._kept or self._terms():
            if flip == 0:  # strings of Z are real, up to the rounding of their coefficients
                result[:, which] += (states.real**2 + states.imag**2) @ factors.real.T
                continue
            products = bras * self._moved(states, flip)
            if np.iscomplexobj(factors):
                result[:, which] += (products @ factors.T).real
            else:
                result[:, which] += products.real @ factors.T
        return result

    def _moved(self, states: States, flip: int) -> States:
        return states if flip == 0 else states[:, np.arange(self._dim) ^ flip]

    def _terms(self) -> Iterator[Term]:
        """Yield the diagonals of the strings with the same x, some observables at a time."""
        strings = self._strings
        for flip, members in strings.by_flip():
            outputs = strings.outputs[members]
            starts = np.flatnonzero(np.diff(outputs, prepend=-1))  # one per observable
            for first in range(0, len(starts), self._rows_at_once):
                chosen = [*starts[first : first + self._rows_at_once + 1], len(outputs)]
                chosen = chosen[: self._rows_at_once + 1]
                rows = [
                    _diagonal(strings.z[part], strings.factors[part], self._dim)
                    for begin, end in pairwise(chosen)
                    for part in (members[begin:end],)
                ]
                yield flip, outputs[chosen[:-1]], np.stack(rows)


class _Strings:
    """Pauli strings of some observables as integers, sorted by x and by observable."""

    def __init__(self, observables: tuple[SparsePauliOp, ...]) -> None:
        powers = 1 << np.arange(observables[0].num_qubits, dtype=np.int64)
        x = np.concatenate([one.paulis.x @ powers for one in observables])
        z = np.concatenate([one.paulis.z @ powers for one in observables])
        outputs = np.repeat(np.arange(len(observables)), list(map(len, observables)))
        coefficients = np.concatenate([one.coeffs.astype(np.complex128) for one in observables])
        # i for each Y, and -1 for each Z that acts before the flip of its qubit
        phases = 1j ** (np.bitwise_count(x & z) % 4) * (1 - 2.0 * (np.bitwise_count(x & z) % 2))
        # multiples of the identity, per observable
        is_one = (x | z) == 0
        count = len(observables)
        self.constants = np.zeros(count)
        np.add.at(self.constants, outputs[is_one], coefficients[is_one].real)
        order = np.lexsort((outputs, x))
        order = order[~is_one[order]]
        self.z, self.outputs = z[order], outputs[order]
        self.factors = (coefficients * phases)[order]
        self._x = x[order]
        pairs = np.diff(self._x, prepend=-1).astype(bool) | np.diff(
            self.outputs, prepend=-1
        ).astype(bool)
        self.num_rows = int(np.count_nonzero(pairs))  # pairs of x and observable

    def by_flip(self) -> Iterator[tuple[int, Integers]]:
        """Yield each x with the places of its strings."""
        starts = np.flatnonzero(np.diff(self._x, prepend=-1)).tolist()
        for begin, end in pairwise([*starts, len(self._x)]):
            yield int(self._x[begin]), np.arange(begin, end)


def _diagonal(z: Integers, factors: Complex128[np.ndarray, " strings"], dim: int) -> np.ndarray:
    r"""Return :math:`\sum_s f_s (-1)^{|i \wedge z_s|}` for all i."""
    if len(z) < dim.bit_length():
        index = np.arange(dim)
        result = np.zeros(dim, dtype=np.complex128)
        for mask, factor in zip(z.tolist(), factors, strict=True):
            result += factor * (1.0 - 2.0 * (np.bitwise_count(index & mask) & 1))
    else:
        result = np.bincount(z, factors.real, minlength=dim).astype(np.complex128)
        result += 1j * np.bincount(z, factors.imag, minlength=dim)
        half = 1
        while half < dim:  # Walsh-Hadamard transform
            pairs = result.reshape(-1, 2, half)
            result = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1)
            half *= 2
        result = result.ravel()
    return result if result.imag.any() else np.ascontiguousarray(result.real)
