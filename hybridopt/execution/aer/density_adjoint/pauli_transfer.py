r"""Pauli transfer matrices of gates and channels, which are real.

A density matrix is the vector of its expectation values :math:`r_P = \mathrm{Tr}(P \rho)`, an
observable the vector of its coefficients :math:`O = \sum_P o_P P`. A channel multiplies r by its
transfer matrix M, and the channel's adjoint multiplies o by the transpose of M.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache, reduce

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit.circuit import Gate, Instruction
from qiskit.quantum_info import Operator, SuperOp

from hybridopt.circuits.gates import AngleRule

Matrix = Float64[np.ndarray, "d d"]
Frequencies = tuple[int, ...]  # positive, in units of 1/2, ascending

# row P: coefficients of <P> in the entries of a density matrix, column by column
_TO_PAULIS = np.array(
    [[1, 0, 0, 1], [0, 1, 1, 0], [0, -1j, 1j, 0], [1, 0, 0, -1]], dtype=np.complex128
)


def transfer_matrix(operation: Instruction) -> Matrix:
    """Return the transfer matrix of a gate or channel; its first qubit is the lowest digit."""
    if operation.name == "superop":
        return _in_paulis(np.asarray(operation.params[0]))
    if isinstance(operation, Gate):
        unitary = Operator(operation).data
        return _in_paulis(np.kron(unitary.conj(), unitary))
    return _in_paulis(SuperOp(operation).data)


def transfer_coefficients(
    gate: Gate, free: Sequence[tuple[int, AngleRule]]
) -> Float64[np.ndarray, "F d d"]:
    """Return the transfer matrix as a sum over features of its free angles.

    Each entry is a trigonometric polynomial in each angle, whose frequencies are known. The
    coefficients follow from the matrices on a grid of angles.

    Args:
        gate: Gate with numbers at all other positions.
        free: Position in ``gate.params`` and rule of each free angle.

    Returns:
        Coefficients of `features`, the first angle as the slowest index.
    """
    grids, inverses = [], []
    for _, rule in free:
        frequencies = positive_frequencies(rule)
        period = 2 * np.pi * (2 if any(one % 2 for one in frequencies) else 1)
        grid = np.arange(2 * len(frequencies) + 1) * period / (2 * len(frequencies) + 1)
        grids.append(grid)
        inverses.append(np.linalg.inv(features(grid, frequencies)))
    matrices = []
    for angles in itertools.product(*grids):
        params = list(gate.params)
        for (position, _), angle in zip(free, angles, strict=True):
            params[position] = float(angle)
        bound = gate.copy()
        bound.params = params
        matrices.append(transfer_matrix(bound))
    return np.tensordot(reduce(np.kron, inverses), np.stack(matrices), axes=1)


def positive_frequencies(rule: AngleRule) -> Frequencies:
    """Return the positive frequencies of an angle, in units of 1/2."""
    return tuple(sorted(one for one in rule.frequencies if one > 0))


def features(
    angles: Float64[np.ndarray, "*cells"], frequencies: Frequencies
) -> Float64[np.ndarray, "*cells F"]:
    """Return 1, and cos and sin of each frequency times the angle [rad]."""
    waves = [turn(frequency / 2 * angles) for frequency in frequencies for turn in (np.cos, np.sin)]
    return np.stack([np.ones_like(angles), *waves], axis=-1)


def feature_slopes(
    angles: Float64[np.ndarray, "*cells"], frequencies: Frequencies
) -> Float64[np.ndarray, "*cells F"]:
    """Return the derivatives of `features` with respect to the angle."""
    slopes = [np.zeros_like(angles)]
    for half in (frequency / 2 for frequency in frequencies):
        slopes += [-half * np.sin(half * angles), half * np.cos(half * angles)]
    return np.stack(slopes, axis=-1)


def dense_observables(
    coefficients: Float64[np.ndarray, "m size"], num_qubits: int
) -> Complex128[np.ndarray, "m dim dim"]:
    """Return observables as matrices, from their coefficients of Pauli strings."""
    tensor = coefficients.astype(np.complex128).reshape(-1, *(4,) * num_qubits)
    for _ in range(num_qubits):  # from the highest qubit on
        tensor = np.tensordot(tensor, _TO_PAULIS.reshape(4, 2, 2), axes=(1, 0))
    rows = range(1, 2 * num_qubits + 1, 2)
    tensor = tensor.transpose(0, *rows, *(axis + 1 for axis in rows))
    return tensor.reshape(len(coefficients), 1 << num_qubits, 1 << num_qubits)


def _in_paulis(superoperator: np.ndarray) -> Matrix:
    """Return the transfer matrix of a `SuperOp` matrix, which has all bras before all kets."""
    size = len(superoperator)
    change, order = _change(size)
    return np.ascontiguousarray(
        (change @ superoperator[np.ix_(order, order)] @ change.conj().T).real * size**-0.5
    )


@lru_cache(maxsize=8)
def _change(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the change of basis, and the order of entries with both indices qubit by qubit."""
    count = (size.bit_length() - 1) // 2
    axes = [axis for qubit in range(count) for axis in (qubit, count + qubit)]
    order = np.arange(size).reshape((2,) * (2 * count)).transpose(axes).ravel()
    return reduce(np.kron, [_TO_PAULIS] * count), order
