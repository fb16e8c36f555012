"""Marginal sums compared with Qiskit's probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit.quantum_info import random_statevector

from hybridopt.execution.aer.marginals import marginal


@pytest.mark.parametrize("width", [1, 2, 3])
def test_sums_are_the_probabilities_of_the_qubits_in_their_order(width):
    states = [random_statevector(8, seed) for seed in range(3)]
    blocks = np.abs(np.stack([state.data for state in states])) ** 2
    for qubits in itertools.permutations(range(3), width):
        expected = [state.probabilities(list(qubits)) for state in states]
        np.testing.assert_allclose(marginal(blocks, qubits), expected, rtol=0, atol=1e-15)
