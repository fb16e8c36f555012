r"""Weighted observables of the adjoint rule: :math:`\lambda = \sum_k g_k O_k \phi`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.memory_budget import BYTES_PER_COMPLEX
from hybridopt.execution.readout import Expectations, Readout

States = Complex128[np.ndarray, "B dim"]
Strings = dict[int, dict[int, list[tuple[int, complex]]]]
Term = tuple[int, list[int], np.ndarray]  # flipped bits, observables, and a row for each
BYTES_KEPT = 1 << 28  # larger tables are computed in each call


class ObservableAction:
    r"""Weighted sum of the observables of a readout, applied to states.

    Pauli strings are :math:`i^{|x \wedge z|} X^x Z^z`; those with the same x act by one
    permutation of the amplitudes. Probabilities are without post-selection.
    """

    def __init__(self, readout: Readout, program: CircuitProgram) -> None:
        self._dim = 1 << program.num_qubits
        self._strings: Strings = {}
        self._kept: list[Term] = []
        if isinstance(readout, Expectations):
            self._strings = _strings(readout.observables)
            entries = sum(map(len, self._strings.values()))
            if entries * self._dim * BYTES_PER_COMPLEX <= BYTES_KEPT:
                self._kept = [
                    (flip, list(by), np.stack([_entry(flip, of, self._dim) for of in by.values()]))
                    for flip, by in self._strings.items()
                ]
        else:
            qubits = readout.qubits or range(program.num_qubits)
            index = np.arange(self._dim)  # of basis states, each of which has an outcome
            self._outcome = sum(((index >> q) & 1) << place for place, q in enumerate(qubits))

    def __call__(self, weights: Float64[np.ndarray, "B K"], states: States) -> States:
        """Return lambda for every sample."""
        if not self._strings:
            return np.asarray(weights[:, self._outcome] * states)
        result = np.zeros_like(states)
        for flip, which, factors in self._kept or self._terms():
            moved = states if flip == 0 else states[:, np.arange(self._dim) ^ flip]
            result += (weights[:, which] @ factors) * moved
        return result

    def _terms(self) -> Iterator[Term]:
        """Yield the terms one at a time if they are too large to keep."""
        for flip, by_observable in self._strings.items():
            for k, strings in by_observable.items():
                yield flip, [k], _entry(flip, strings, self._dim)[None]


def _strings(observables: tuple[SparsePauliOp, ...]) -> Strings:
    """Return z and the factor of each string, by its x and by the observable."""
    strings: Strings = defaultdict(lambda: defaultdict(list))
    for k, observable in enumerate(observables):
        for pauli, coefficient in zip(observable.paulis, observable.coeffs, strict=True):
            x, z = _bits(pauli.x), _bits(pauli.z)
            phase = 1j ** ((x & z).bit_count() % 4)
            strings[x][k].append((z, complex(coefficient * phase)))
    return strings


def _entry(flip: int, strings: list[tuple[int, complex]], dim: int) -> np.ndarray:
    """Return the factor of each amplitude under the strings with the same x."""
    source = np.arange(dim, dtype=np.uint64) ^ np.uint64(flip)
    entry = np.zeros(dim, dtype=np.complex128)
    for z, factor in strings:
        entry += factor * (1.0 - 2.0 * (np.bitwise_count(source & np.uint64(z)) & 1))
    return entry if entry.imag.any() else entry.real


def _bits(flags: np.ndarray) -> int:
    return sum(1 << int(place) for place in np.flatnonzero(flags))
