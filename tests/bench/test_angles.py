from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.angles import AngleTable
from hybridopt.bench.problem import Problem

X, W = ParameterVector("x", 2), ParameterVector("w", 3)
PROBLEM = Problem("none", QuantumCircuit(1), tuple(X), tuple(W), (SparsePauliOp("Z"),))
ANGLES = [W[1], X[1], 2 * X[0] - W[2] / 3 + 0.4, W[0] * W[1], W[1], X[1].sin(), X[0] * W[0] + W[2]]


def bound(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows = []
    for sample in x:
        table = dict(zip([*X, *W], [*sample, *w], strict=True))
        rows.append([float(a.bind({p: table[p] for p in a.parameters})) for a in ANGLES])
    return np.array(rows)


@pytest.fixture
def numbers():
    generator = np.random.default_rng(1)
    return generator.uniform(-1, 1, (4, 2)), generator.uniform(-1, 1, 3)


def test_values_match_those_of_qiskit(numbers):
    table = AngleTable(ANGLES, PROBLEM)
    np.testing.assert_allclose(table.values(*numbers), bound(*numbers), atol=1e-15)
    assert table.of_inputs.tolist() == [False, True, True, False, False, True, True]
    assert table.of_weights.tolist() == [True, False, True, True, True, False, True]


def test_the_chain_rule_matches_differences(numbers):
    x, w = numbers
    by_angle = np.random.default_rng(2).normal(size=(4, len(ANGLES)))
    found = AngleTable(ANGLES, PROBLEM).to_weights(by_angle, x, w)
    step = 1e-3
    for j, slope in enumerate(found):  # all angles are at most quadratic in the weights
        shift = step * np.eye(3)[j]
        difference = (bound(x, w + shift) - bound(x, w - shift)) / (2 * step)
        assert slope == pytest.approx((by_angle * difference).sum() / 4, abs=1e-11)


def test_no_angles():
    table = AngleTable([], PROBLEM)
    assert table.values(np.zeros((2, 2)), np.zeros(3)).shape == (2, 0)
    assert not table.to_weights(np.zeros((2, 0)), np.zeros((2, 2)), np.zeros(3)).any()
