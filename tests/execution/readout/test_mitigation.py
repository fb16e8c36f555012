"""Inverse confusion matrices compared with dense matrices, and the errors of bad ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hybridopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from hybridopt.execution.readout.mitigation import ReadoutMitigation

SINGLE = [np.array([[1 - a, a], [b, 1 - b]]) for a, b in [(0.1, 0.25), (0.03, 0.0), (0.2, 0.07)]]
GOOD = [[0.9, 0.1], [0.2, 0.8]]


def random_matrix(num_qubits: int, seed: int) -> np.ndarray:
    """Return a random confusion matrix near the identity."""
    generator = np.random.default_rng(seed)
    size = 1 << num_qubits
    matrix = np.eye(size) + 0.3 / size * generator.random((size, size))
    return matrix / matrix.sum(axis=1, keepdims=True)


def dense(blocks: dict[tuple[int, ...], np.ndarray], qubits: tuple[int, ...]) -> np.ndarray:
    """Return P(reported | true) of all outcomes, entry by entry; blocks must lie in ``qubits``."""
    size = 1 << len(qubits)
    result = np.ones((size, size))
    for true, read in itertools.product(range(size), repeat=2):
        for block, matrix in blocks.items():
            places = [qubits.index(qubit) for qubit in block]
            row, column = (
                sum(((value >> place) & 1) << k for k, place in enumerate(places))
                for value in (true, read)
            )
            result[true, read] *= matrix[row, column]
    return result


CASES = {
    "single": ({(k,): SINGLE[k] for k in range(3)}, SINGLE),
    "full": ({(0, 1, 2): random_matrix(3, 1)}, random_matrix(3, 1)),
    "pair": (
        {(2, 0): random_matrix(2, 2), (1,): SINGLE[0]},
        {(2, 0): random_matrix(2, 2), 1: SINGLE[0].tolist()},
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    blocks, confusion = CASES[request.param]
    return blocks, ReadoutMitigation.from_confusion(confusion, 3)


@pytest.mark.parametrize("qubits", [(0, 1, 2), (2, 0, 1)])
def test_reported_probabilities_become_those_of_the_true_outcomes(case, qubits):
    blocks, mitigation = case
    measured, inverse = mitigation.measured(qubits, (0, 1, 2))
    true = np.random.default_rng(0).dirichlet(np.ones(8), (2, 3))
    reported = true @ dense(blocks, measured)
    assert measured == qubits
    np.testing.assert_allclose(inverse.quasi_probabilities(reported), true, rtol=0, atol=1e-14)


def test_coefficients_of_parities_are_the_inverse_times_the_parities(case):
    blocks, mitigation = case
    _, inverse = mitigation.measured((1, 2, 0), (0, 1, 2))
    parities = np.array([[(-1.0) ** (x & mask).bit_count() for mask in range(8)] for x in range(8)])
    expected = np.linalg.solve(dense(blocks, (1, 2, 0)), parities)
    found = inverse.parities(range(8), range(8))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert np.abs(found).max() ** 2 <= inverse.variance_bound * (1 + 1e-12)


@pytest.mark.parametrize("qubits", [(0, 1, 2), (2, 0), (1,)])
def test_weights_of_outcomes_are_the_transpose_of_quasi_probabilities(case, qubits):
    _, inverse = case[1].measured(qubits, (0, 1, 2))
    generator = np.random.default_rng(5)
    cotangent = generator.normal(size=(2, 1 << len(qubits)))
    reported = generator.dirichlet(np.ones(1 << inverse.num_measured))
    expected = cotangent @ inverse.quasi_probabilities(reported)
    found = inverse.outcome_weights(cotangent) @ reported
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_variances_are_those_of_sampled_quasi_probabilities(case):
    blocks, mitigation = case
    measured, inverse = mitigation.measured((0, 1, 2), (0, 1, 2))
    reported = np.random.default_rng(1).dirichlet(np.ones(8)) @ dense(blocks, measured)
    shots, repeats = 200, 4000
    samples = np.random.default_rng(2).multinomial(shots, reported, repeats) / shots
    spread = inverse.quasi_probabilities(samples).var(axis=0) * shots
    # the variance of a sample variance of normal values is 2/repeats of its square
    np.testing.assert_allclose(
        spread, inverse.variances(reported), rtol=6 * math.sqrt(2 / repeats), atol=1e-6
    )


def test_the_values_of_a_cell_do_not_depend_on_the_number_of_cells(case):
    _, inverse = case[1].measured((0, 1, 2), (0, 1, 2))
    reported = np.random.default_rng(3).dirichlet(np.ones(8), (7, 5))
    for values in (inverse.quasi_probabilities, inverse.variances):
        assert np.array_equal(values(reported)[3, 2], values(reported[3, 2]))


def test_many_qubits_need_no_table_of_outcomes():
    count = 70
    mitigation = ReadoutMitigation.from_confusion([SINGLE[k % 3] for k in range(count)])
    measured, inverse = mitigation.measured(range(count), range(count))
    mask, outcome = (1 << 69) | (1 << 4) | 1, (1 << 69) | (1 << 68) | 1
    (_, w1), (v0, _) = ((np.linalg.inv(matrix) @ [1, -1]).tolist() for matrix in SINGLE[:2])
    assert len(measured) == count
    # qubit 0 and 69 have the first matrix and outcome 1, qubit 4 has the second and outcome 0
    np.testing.assert_allclose(inverse.parities([mask, 0], [outcome]), [[w1 * v0 * w1, 1.0]])


def test_qubits_with_correlated_errors_are_measured_too():
    matrix = random_matrix(2, 2)
    mitigation = ReadoutMitigation.from_confusion({(7, 4): matrix, 5: SINGLE[0]})
    measured, inverse = mitigation.measured((1,), (5, 7, 4), busy=(4, 5, 7))
    assert measured == (1, 2)  # the qubits of the program on 7 and 4
    reported = np.array([0.1, 0.2, 0.3, 0.4]) @ matrix
    coefficients = np.linalg.inv(matrix) @ [[1, 0], [0, 1], [1, 0], [0, 1]]  # of qubit 7
    found = inverse.quasi_probabilities(reported)
    np.testing.assert_allclose(found, [0.4, 0.6], rtol=0, atol=1e-14)
    variances = reported @ coefficients**2 - found**2
    np.testing.assert_allclose(inverse.variances(reported), variances, rtol=0, atol=1e-14)


def test_some_qubits_of_two_blocks_are_read_in_any_order():
    blocks = {(3, 0): random_matrix(2, 5), (1, 2): random_matrix(2, 6)}
    measured, inverse = ReadoutMitigation.from_confusion(blocks).measured((2, 3), range(4))
    assert measured == (2, 3, 0, 1)
    true = np.random.default_rng(4).dirichlet(np.ones(16), 3)  # bits: qubits 2, 3, 0, 1
    found = inverse.quasi_probabilities(true @ dense(blocks, measured))
    np.testing.assert_allclose(found, true.reshape(3, 4, 4).sum(axis=1), rtol=0, atol=1e-14)
    weights, reported = np.random.default_rng(5).normal(size=(3, 4)), true @ dense(blocks, measured)
    products = (inverse.outcome_weights(weights) * reported).sum(-1)
    np.testing.assert_allclose(products, (weights * found).sum(-1), rtol=0, atol=1e-14)


def test_rounded_rows_give_probabilities_that_sum_to_1():
    rounded = np.array(SINGLE[:1], dtype=np.float32) * np.float32(1 + 3e-7)
    _, inverse = ReadoutMitigation.from_confusion(rounded).measured((0,), (0,))
    total = inverse.quasi_probabilities(np.array([0.3, 0.7])).sum()
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-15)


def test_idle_qubits_of_a_block_are_in_state_0():
    matrix = random_matrix(2, 2)
    mitigation = ReadoutMitigation.from_confusion({(7, 4): matrix})
    _, inverse = mitigation.measured((0,), (4,))
    true = np.array([0.3, 0.7])
    reported = np.array([0.3, 0, 0.7, 0]) @ matrix  # qubit 4 is the second bit
    marginal = reported.reshape(2, 2).sum(axis=1)
    np.testing.assert_allclose(inverse.quasi_probabilities(marginal), true, atol=1e-14)


def test_a_busy_qubit_outside_of_the_program_is_refused():
    mitigation = ReadoutMitigation.from_confusion({(7, 4): random_matrix(2, 2)})
    with pytest.raises(UnsupportedError, match=r"`confusion`.*qubit 7"):
        mitigation.measured((0,), (4,), busy=(4, 7))


def test_a_measured_qubit_needs_a_matrix():
    mitigation = ReadoutMitigation.from_confusion({0: GOOD})
    with pytest.raises(UnsupportedError, match=r"`confusion`.*qubit 3"):
        mitigation.measured((0, 1), (0, 3))


def test_a_matrix_may_have_no_inverse_without_its_idle_qubit():
    # with qubit 4 in state 0, only the parity of both qubits shows the outcome of qubit 7
    matrix = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    mitigation = ReadoutMitigation.from_confusion({(7, 4): matrix})
    mitigation.measured((0, 1), (7, 4))
    with pytest.raises(ArgumentError, match=r"`confusion`.*qubits 7, 4.*inverse"):
        mitigation.measured((0,), (7,))


@pytest.mark.parametrize(
    ("confusion", "num_qubits"),
    [
        (GOOD, 5),  # a matrix on one qubit of five
        ([GOOD, GOOD], 3),
        ([[GOOD]], None),
        ([0.9, 0.1], None),
        ([np.eye(4)], None),
        (np.eye(3), None),
        (np.eye(2)[:1], None),
        (np.ones((0, 2, 2)), None),
        ({}, None),
        ({(): GOOD}, None),
        ({(0, 0): np.eye(4)}, None),
        ({0: GOOD, (1, 0): np.eye(4)}, None),
        ({-1: GOOD}, None),
        ({5: GOOD}, 5),
        ({0: np.eye(4)}, None),
        ([[[1.1, -0.1], [0.2, 0.8]]], None),
        ([[[math.nan, 0.1], [0.2, 0.8]]], None),
        ([[[math.inf, 0.1], [0.2, 0.8]]], None),
        ([[[0.9, 0.2], [0.1, 0.8]]], None),  # columns sum to 1
        ([[[0.5, 0.5], [0.5, 0.5]]], None),
        (np.eye(1 << 11), None),
    ],
)
def test_confusion_is_refused_by_name(confusion, num_qubits):
    with pytest.raises(ArgumentError, match="`confusion`"):
        ReadoutMitigation.from_confusion(confusion, num_qubits)


@pytest.mark.parametrize(
    "confusion",
    [
        "inverse",
        7j,
        [["0.9", "0.1"], ["0.2", "0.8"]],
        [[True, False], [False, True]],
        [GOOD, [[1.0]]],
        [[[0.9 + 0j, 0.1], [0.2, 0.8]]],
        {"0": GOOD},
        {(0, True): np.eye(4)},
        {0: None},
    ],
)
def test_other_types_are_refused_by_name(confusion):
    with pytest.raises(ArgumentTypeError, match="`confusion`"):
        ReadoutMitigation.from_confusion(confusion)
