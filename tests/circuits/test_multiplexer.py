"""Walsh transform compared with scipy's matrix, Gray code, and chains compared with matrices."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import RYGate
from qiskit.quantum_info import Operator
from scipy.linalg import block_diag, hadamard

from hybridopt.circuits.multiplexer import append_chain, gray_code, walsh_hadamard

EPS = np.finfo(np.float64).eps


@pytest.mark.parametrize("size", [1, 2, 4, 8, 32, 256])
def test_transform_is_the_hadamard_matrix(size):
    values = np.random.default_rng(size).normal(size=size)
    rounding = 2 * size * EPS * np.abs(values).sum()
    np.testing.assert_allclose(
        walsh_hadamard(values), hadamard(size) @ values, rtol=0, atol=rounding
    )


def test_entries_are_signs_of_common_bits():
    for k in range(8):
        unit = np.zeros(8)
        unit[k] = 1.0
        signs = [(-1.0) ** (k & row).bit_count() for row in range(8)]
        np.testing.assert_array_equal(walsh_hadamard(unit), signs)


def test_twice_the_transform_is_a_multiple_of_the_identity():
    values = np.random.default_rng(1).normal(size=64)
    twice = walsh_hadamard(walsh_hadamard(values))
    np.testing.assert_allclose(twice / 64, values, rtol=0, atol=64 * EPS * np.abs(values).sum())


def test_transform_does_not_change_its_input():
    values = np.arange(8.0)
    walsh_hadamard(values)
    np.testing.assert_array_equal(values, np.arange(8.0))


@pytest.mark.parametrize("num_bits", [1, 2, 3, 6])
def test_gray_code_changes_one_bit_per_step(num_bits):
    size = 1 << num_bits
    codes = [gray_code(i) for i in range(size)]
    assert sorted(codes) == list(range(size))
    for index, code in enumerate(codes):
        assert (code ^ codes[(index + 1) % size]).bit_count() == 1


def test_rows_are_transformed_one_by_one():
    rows = np.random.default_rng(2).normal(size=(3, 5, 8))
    np.testing.assert_allclose(walsh_hadamard(rows), rows @ hadamard(8), rtol=0, atol=1e-14)


@pytest.mark.parametrize("num_controls", [0, 1, 3])
def test_chain_rotates_by_the_angle_of_its_controls(num_controls):
    theta = np.random.default_rng(num_controls).uniform(-6, 6, 1 << num_controls)
    hat = walsh_hadamard(theta) / theta.size
    circuit = QuantumCircuit(num_controls + 1)  # the target is the lowest bit
    append_chain(circuit, lambda column: float(hat[column]), range(1, num_controls + 1), 0)
    expected = block_diag(*(RYGate(angle).to_matrix() for angle in theta))
    np.testing.assert_allclose(Operator(circuit).data, expected, rtol=0, atol=1e-14)
