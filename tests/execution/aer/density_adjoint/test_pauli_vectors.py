"""Products on a few qubits against dense matrices of all qubits."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.execution.aer.density_adjoint.pauli_vectors import Place, apply, contract

NUM_QUBITS, SAMPLES = 4, 3
QUBITS = [(0,), (1,), (3,), (0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3), (0, 1, 3), (0, 1, 2, 3)]


def dense(matrix: np.ndarray, qubits: tuple[int, ...]) -> np.ndarray:
    """Return the matrix of all qubits, entry by entry."""
    digits = np.array(list(np.ndindex(*(4,) * NUM_QUBITS)))[:, ::-1]  # column q: digit of qubit q
    local = sum(digits[:, qubit] * 4**place for place, qubit in enumerate(qubits))
    others = [qubit for qubit in range(NUM_QUBITS) if qubit not in qubits]
    rest = sum((digits[:, qubit] * 4**place for place, qubit in enumerate(others)), np.zeros(256))
    return matrix[np.ix_(local, local)] * (rest[:, None] == rest)


@pytest.mark.parametrize("qubits", QUBITS, ids=str)
def test_products_equal_dense_ones(qubits):
    generator, place = np.random.default_rng(0), Place.of(qubits, NUM_QUBITS)
    size = 4 ** len(qubits)
    left, right = generator.normal(size=(2, SAMPLES, 4**NUM_QUBITS))
    matrices = generator.normal(size=(SAMPLES, size, size))
    each = [dense(matrix, qubits) @ vector for matrix, vector in zip(matrices, right, strict=True)]
    np.testing.assert_allclose(apply(matrices, right, place), each, atol=1e-12)
    common = right @ dense(matrices[0], qubits).T
    np.testing.assert_allclose(apply(matrices[0], right, place), common, atol=1e-12)
    of_one = [dense(matrix, qubits) @ right[0] for matrix in matrices]
    np.testing.assert_allclose(apply(matrices, right[:1], place), of_one, atol=1e-12)
    slopes = contract(left, right, place, per_vector=True)  # of left @ M @ right, linear in M
    values = [left[k] @ dense(matrices[k], qubits) @ right[k] for k in range(SAMPLES)]
    np.testing.assert_allclose((slopes * matrices).sum((1, 2)), values, atol=1e-10)
    total = contract(left, right, place, per_vector=False)
    np.testing.assert_allclose(total, slopes.sum(0), atol=1e-11)
