r"""What the adjoint rule starts from: :math:`\lambda = \sum_k g_k O_k \phi` for every sample."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.execution import Expectations, Probabilities, Readout

States = Complex128[np.ndarray, "B dim"]


class ObservableAction:
    r"""Applies a weighted sum of the observables of a readout to states.

    Pauli strings are :math:`i^{|x \wedge z|} X^x Z^z`; those with the same x act by one
    permutation of the amplitudes.

    Args:
        readout: Expectation values, or probabilities without post-selection.
        program: Gives the number of qubits.
    """

    def __init__(self, readout: Readout, program: CircuitProgram) -> None:
        self._dim = 1 << program.num_qubits
        if isinstance(readout, Expectations):
            self._diagonals = _diagonals(readout.observables, self._dim)
        else:
            self._outcome = _outcomes(readout, program)
            self._diagonals = {}

    def __call__(self, weights: Float64[np.ndarray, "B K"], states: States) -> States:
        """Lambda for every sample.

        Args:
            weights: g, cotangents of the outputs.
            states: Phi.
        """
        if not self._diagonals:
            return np.asarray(weights[:, self._outcome] * states)
        result = np.zeros_like(states)
        for flip, (factors, which) in self._diagonals.items():
            moved = states if flip == 0 else states[:, np.arange(self._dim) ^ flip]
            result += (weights[:, which] @ factors) * moved
        return result


def _diagonals(
    observables: tuple[SparsePauliOp, ...], dim: int
) -> dict[int, tuple[np.ndarray, list[int]]]:
    """For each x the entry of every observable on every amplitude, and which have one."""
    index = np.arange(dim, dtype=np.uint64)
    by_flip: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for k, observable in enumerate(observables):
        for pauli, coefficient in zip(observable.paulis, observable.coeffs, strict=True):
            x, z = _bits(pauli.x), _bits(pauli.z)
            source = index ^ np.uint64(x)
            signs = 1.0 - 2.0 * (np.bitwise_count(source & np.uint64(z)) & 1)
            phase = 1j ** ((x & z).bit_count() % 4)
            entry = coefficient * phase * signs
            entry = entry.real if not entry.imag.any() else entry
            known = by_flip[x].get(k)
            by_flip[x][k] = entry if known is None else known + entry
    return {flip: (np.stack(list(of.values())), list(of)) for flip, of in by_flip.items()}


def _outcomes(readout: Probabilities, program: CircuitProgram) -> np.ndarray:
    """For each basis state the outcome that the readout counts it under."""
    qubits = readout.qubits if readout.qubits is not None else range(program.num_qubits)
    index = np.arange(1 << program.num_qubits)
    return sum(((index >> qubit) & 1) << place for place, qubit in enumerate(qubits))  # type: ignore[return-value]


def _bits(flags: np.ndarray) -> int:
    return sum(1 << int(place) for place in np.flatnonzero(flags))
