"""Outputs from distributions and counts, compared with Qiskit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, random_statevector

from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import Expectations, Probabilities
from tests.execution.jobs import conditional, distribution

PROGRAM = lower(QuantumCircuit(4))
STATE = random_statevector(16, seed=3)
OBSERVABLES = (
    SparsePauliOp(["ZIIZ", "XXII", "IIII", "IYYI"], [0.5, -1.0, 0.3, 2.0]),
    SparsePauliOp("XYZX"),
    SparsePauliOp(["IIIZ", "ZZII", "ZIIZ"], [1.0, 1.0, -1.0]),
    SparsePauliOp("IIII", -4.0),
)


def counts(probabilities: np.ndarray, shots: int = 10**6) -> dict[int, int]:
    rounded = np.round(probabilities * shots).astype(int)
    return {outcome: int(n) for outcome, n in enumerate(rounded) if n}


def test_expectation_values_equal_those_of_qiskit():
    readout = Expectations(OBSERVABLES)
    settings = readout.settings(PROGRAM)
    expected = [STATE.expectation_value(o).real for o in OBSERVABLES]
    exact = readout.read(PROGRAM, [distribution(STATE, s) for s in settings])
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12)
    measured, _ = readout.read_counts(PROGRAM, [counts(distribution(STATE, s)) for s in settings])
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-4)
    assert readout.num_outputs(PROGRAM) == 4


def test_commuting_strings_share_a_setting():
    readout = Expectations(OBSERVABLES)
    # ZIIZ, IIIZ and ZZII commute; XXII and IYYI do not; XYZX commutes with none of them
    assert 3 <= len(readout.settings(PROGRAM)) <= 4
    diagonal = Expectations(tuple(SparsePauliOp(label) for label in ("ZIII", "IZZI", "ZZZZ")))
    (setting,) = diagonal.settings(PROGRAM)
    assert setting.basis == ()
    assert setting.qubits == (0, 1, 2, 3)
    assert Expectations((SparsePauliOp("IIII"),)).settings(PROGRAM) == ()


PROBABILITIES = [
    Probabilities(),
    Probabilities(qubits=(3, 1)),
    Probabilities(qubits=(0,), given=((2, 1),)),
    Probabilities(qubits=(1, 3), given=((0, 0), (2, 1))),
]


@pytest.mark.parametrize("readout", PROBABILITIES, ids=str)
def test_probabilities_equal_those_of_qiskit(readout):
    qubits = readout.qubits or (0, 1, 2, 3)
    expected = conditional(STATE.probabilities_dict(), qubits, readout.given)
    (setting,) = readout.settings(PROGRAM)
    exact = readout.read(PROGRAM, [distribution(STATE, setting)])
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12)
    measured, _ = readout.read_counts(PROGRAM, [counts(distribution(STATE, setting))])
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-4)
    assert readout.num_outputs(PROGRAM) == 1 << len(qubits)
    assert readout.is_linear is not bool(readout.given)


def test_probabilities_are_zero_for_impossible_conditions():
    readout = Probabilities(qubits=(0, 1), given=((2, 1),))
    joint = np.zeros((3, 8))
    joint[:, :4] = 0.25  # qubit 2 is never 1
    np.testing.assert_array_equal(readout.read(PROGRAM, [joint]), np.zeros((3, 4)))


REFUSED = [
    (lambda: Probabilities(qubits=()), ArgumentError, "`qubits`"),
    (lambda: Probabilities(qubits=(1,), given=((1, 0),)), ArgumentError, r"`qubits` .*\[1, 1\]"),
    (lambda: Probabilities(given=((1, 2),)), ArgumentError, "`given` .*2"),
    (lambda: Probabilities(given=((1, 0, 1),)), ArgumentError, "`given` .*1, 0, 1"),
    (lambda: Probabilities(given=(1, 0)), ArgumentTypeError, "`given`"),
    (lambda: Probabilities(qubits="01"), ArgumentTypeError, "`qubits` .*'01'"),
    (lambda: Probabilities(qubits=(0.5,)), ArgumentTypeError, "`qubits` .*0.5"),
    (lambda: Expectations(()), ArgumentError, "`observables`"),
    (lambda: Expectations((SparsePauliOp("Z"), SparsePauliOp("ZZ"))), ArgumentError,
     "Observable 1 .*1 qubit.*2"),
    (lambda: Expectations((SparsePauliOp("Z", 1e-7j),)), ArgumentError, "Observable 0 .*1e-07"),
]  # fmt: skip


@pytest.mark.wrong_types
@pytest.mark.parametrize(("build", "error", "named"), REFUSED, ids=range(len(REFUSED)))
def test_wrong_readouts_raise(build, error, named):
    with pytest.raises(error, match=named):
        build()


@pytest.mark.parametrize("qubit", [4, -1])
def test_missing_qubits_raise(qubit):
    for readout in (Probabilities(qubits=(qubit,)), Probabilities((0,), given=((qubit, 1),))):
        with pytest.raises(ArgumentError, match=f"0 to 3 .*qubit {qubit}"):
            readout.check(PROGRAM)


def test_observables_on_other_numbers_of_qubits_raise():
    with pytest.raises(ArgumentError, match=r"Observable 0 .*4 qubits.*3"):
        Expectations((SparsePauliOp("ZZZ"),)).check(PROGRAM)


@pytest.mark.wrong_types
def test_lists_become_tuples():
    assert Probabilities(qubits=[2, 0]) == Probabilities(qubits=(2, 0))
    assert Probabilities(qubits=(np.int64(2),)).qubits == (2,)
    assert hash(Probabilities(qubits=[1], given=[[0, 1]])) == hash(Probabilities((1,), ((0, 1),)))


def test_rounding_errors_in_imaginary_parts_are_ignored():
    readout = Expectations((SparsePauliOp(["ZIII", "XIII"], [1e6, 1 + 1e-8j]),))
    assert len(readout.settings(PROGRAM)) == 2
    cancelled = Expectations((SparsePauliOp(["ZIII", "ZIII"], [1 + 1j, 1 - 1j]),))
    values = cancelled.read(PROGRAM, [distribution(STATE, cancelled.settings(PROGRAM)[0])])
    expected = 2 * STATE.expectation_value(SparsePauliOp("ZIII")).real
    assert values.tolist() == pytest.approx([expected])


def test_coefficients_may_be_python_objects():
    observable = SparsePauliOp(["ZIX", "IYI"], np.array([1, 0.5], dtype=object))
    (numeric,) = Expectations((observable,)).observables
    assert numeric.coeffs.dtype == np.complex128
    assert numeric.coeffs.tolist() == [1, 0.5]
    free = SparsePauliOp(["ZIX"], np.array([Parameter("c")], dtype=object))
    with pytest.raises(ArgumentError, match=r"Observable 0 .*got c\)"):
        Expectations((free,))


def test_variances_of_expectation_values_are_those_of_a_shot():
    observables = (SparsePauliOp(["ZII", "IZI", "XII"], [1.0, -0.5, 2.0]), SparsePauliOp("IIZ"))
    readout = Expectations(observables)
    generator = np.random.default_rng(2)
    tables = [generator.dirichlet(np.ones(1 << len(group.qubits))) for group in readout.groups]
    expected = np.zeros(2)
    for group, table in zip(readout.groups, tables, strict=True):
        for k, weights in zip(group.outputs, group.weights, strict=True):
            values = [
                sum(w * (-1) ** (outcome & mask).bit_count()
                    for mask, w in zip(group.masks, weights, strict=True))
                for outcome in range(len(table))
            ]  # fmt: skip
            expected[k] += table @ np.square(values) - (table @ values) ** 2
    found = readout.variances(lower(QuantumCircuit(3)), tables)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    drawn = [{n: int(p * 10**9) for n, p in enumerate(table)} for table in tables]
    _, counted = readout.read_counts(lower(QuantumCircuit(3)), drawn)
    np.testing.assert_allclose(counted, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("readout", PROBABILITIES, ids=str)
def test_variances_of_probabilities_are_those_of_many_experiments(readout):
    (setting,) = readout.settings(PROGRAM)
    exact = distribution(STATE, setting)
    shots, experiments = 4000, 3000
    drawn = np.random.default_rng(5).multinomial(shots, exact, size=experiments) / shots
    measured = readout.read(PROGRAM, [drawn]).var(axis=0) * shots
    expected = readout.variances(PROGRAM, [exact])
    # relative error of a variance: sqrt(2 / experiments); conditions add a term of order 1/shots
    np.testing.assert_allclose(measured, expected, rtol=6 * np.sqrt(2 / experiments))


def test_variances_of_impossible_conditions_are_unknown():
    joint = np.zeros((3, 8))
    joint[:, :4] = 0.25  # qubit 2 is never 1
    readout = Probabilities(qubits=(0, 1), given=((2, 1),))
    assert np.isnan(readout.variances(PROGRAM, [joint])).all()
