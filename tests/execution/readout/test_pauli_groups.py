"""Expectation values of groups of Pauli strings, compared with Qiskit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import PauliList, SparsePauliOp, random_statevector

from hybridopt.execution.readout import pauli_groups
from hybridopt.execution.readout.pauli_groups import PauliStrings
from tests.execution.jobs import distribution

OBSERVABLES = [
    SparsePauliOp(["ZZI", "IZZ", "III"], [0.5, -1.5, 2.0]),
    SparsePauliOp(["XIX", "YYI"], [1.0, 0.25]),
    SparsePauliOp(["III"], [-3.0]),
    SparsePauliOp(["IIZ", "XXI", "IIZ"], [0.7, 0.1, 0.2]),
]


STATE = random_statevector(8, seed=5)


def grouped(observables):
    strings = PauliStrings(observables)
    return strings.groups, strings.constants


@pytest.mark.parametrize(("qubits", "count"), [(3, 20), (4, 60), (6, 300), (40, 100)])
def test_groups_are_those_of_qiskit(qubits, count):
    labels = np.random.default_rng(qubits).choice(list("IIXYZ"), (count, qubits))
    observable = SparsePauliOp(["".join(one) for one in labels], np.arange(1.0, count + 1))
    paulis = observable.simplify(atol=0, rtol=0).paulis
    paulis = paulis[(paulis.x | paulis.z).any(axis=1)]
    expected = paulis.group_qubit_wise_commuting()
    found = [paulis[members.tolist()] for members in PauliStrings([observable]).members]
    assert [one.to_labels() for one in found] == [one.to_labels() for one in expected]


def test_groups_of_many_strings_commute(monkeypatch):
    monkeypatch.setattr(pauli_groups, "MOST_DEGREES", 10)
    monkeypatch.setattr(pauli_groups, "GROUPS_TRIED", 3)
    labels = np.random.default_rng(1).choice(list("IXYZ"), (200, 5))
    paulis = PauliList(["".join(one) for one in labels]).unique()
    paulis = paulis[(paulis.x | paulis.z).any(axis=1)]
    members = PauliStrings([SparsePauliOp(paulis)]).members
    assert sorted(np.concatenate(members).tolist()) == list(range(len(paulis)))
    assert all(len(paulis[one.tolist()].group_qubit_wise_commuting()) == 1 for one in members)


@pytest.mark.parametrize("entries", [None, 0, 6], ids=["kept", "one outcome", "some outcomes"])
def test_groups_add_up_to_the_expectation_values(monkeypatch, entries):
    if entries is not None:
        monkeypatch.setattr(pauli_groups, "KEPT_ENTRIES", 0)
        monkeypatch.setattr(pauli_groups, "ENTRIES_AT_ONCE", entries)
    groups, constants = grouped(OBSERVABLES)
    total = constants + sum(group.expectations(distribution(STATE, group)) for group in groups)
    expected = [STATE.expectation_value(one).real for one in OBSERVABLES]
    np.testing.assert_allclose(total, expected, rtol=0, atol=1e-12)


def test_tables_are_read_cell_by_cell():
    (group,), _ = grouped([SparsePauliOp(["ZZI", "IIZ"], [0.5, 2.0])])
    cells = np.random.default_rng(0).dirichlet(np.ones(8), (2, 5))
    whole = group.expectations(cells)
    assert whole.shape == (2, 5, 1)
    for s, b in np.ndindex(2, 5):
        np.testing.assert_allclose(whole[s, b], group.expectations(cells[s, b]), rtol=0, atol=1e-14)


def test_moments_of_counts_equal_those_of_frequencies():
    (group,), _ = grouped([SparsePauliOp(["XIX", "XII"], [0.5, -1.0])])
    assert (group.basis, group.qubits) == (((0, "X"), (2, "X")), (0, 2))
    counts = {0: 5, 1: 7, 2: 3, 3: 1}
    frequencies = np.array([counts[k] for k in range(4)]) / 16
    mean, variance = group.moments_of_counts(counts)
    np.testing.assert_allclose(mean, group.expectations(frequencies), rtol=0, atol=1e-14)
    np.testing.assert_allclose(variance, group.variances(frequencies), rtol=0, atol=1e-14)
    values = {0: 0.5 - 1, 1: -0.5 - 1, 2: -0.5 + 1, 3: 0.5 + 1}
    shots = np.repeat(list(values.values()), list(counts.values()))
    assert mean == pytest.approx(shots.mean(), abs=1e-14)
    assert variance == pytest.approx(shots.var(), abs=1e-14)


def test_commuting_strings_share_a_basis():
    groups, _ = grouped([SparsePauliOp(["ZIZ", "IZI", "ZZZ", "XXI"], np.ones(4))])
    assert sorted(len(group.masks) for group in groups) == [1, 3]


def test_identity_has_no_basis():
    groups, constants = grouped([SparsePauliOp(["III"], [4.0]), SparsePauliOp(["III"], [0.5])])
    assert groups == ()
    np.testing.assert_array_equal(constants, [4.0, 0.5])
