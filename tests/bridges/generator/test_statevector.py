"""Dense algebra of the generator's circuit against Qiskit's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector

from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.generator.statevector import ladder_probabilities


def draw(rows: int, angles: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return math.pi * (2 * torch.rand(rows, angles, generator=generator, dtype=torch.float64) - 1)


# sizes on both sides of a group of four qubits, whole and partial layers
@pytest.mark.parametrize(
    ("num_qubits", "num_angles"), [(1, 1), (2, 5), (3, 7), (4, 8), (5, 12), (9, 20), (12, 5)]
)
def test_probabilities_are_those_of_the_circuit(num_qubits, num_angles):
    angles = draw(2, num_angles)
    actual = ladder_probabilities(angles, num_qubits)
    for row, probabilities in zip(angles, actual, strict=True):
        circuit = ry_ladder(num_qubits, num_angles).assign_parameters(row.numpy())
        expected = Statevector(circuit).probabilities()
        np.testing.assert_allclose(probabilities.numpy(), expected, rtol=0, atol=1e-14)


def test_derivatives_are_those_of_finite_differences():
    angles = draw(2, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: ladder_probabilities(a, 3), angles)
    assert torch.autograd.gradgradcheck(lambda a: ladder_probabilities(a, 3), angles)


def test_one_layer_has_the_product_law():
    """Before the ladder the bits are independent, each 1 with probability sin^2(theta / 2)."""
    (theta,) = draw(1, 3)
    ones = torch.sin(theta / 2).square()
    (actual,) = ladder_probabilities(theta[None], 3)
    for outcome in range(8):
        bits = [(outcome ^ (outcome << 1)) >> j & 1 for j in range(3)]
        expected = math.prod(p if bit else 1 - p for p, bit in zip(ones, bits, strict=True))
        assert actual[outcome].item() == pytest.approx(float(expected), abs=1e-15)


def test_meta_device_gives_shapes():
    assert ladder_probabilities(draw(2, 8).to("meta"), 3).shape == (2, 8)
