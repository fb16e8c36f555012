"""Operators on chains, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, SparsePauliOp, random_hermitian

from hybridopt.circuits import lower
from hybridopt.circuits.steps import Rotation
from hybridopt.execution import Expectations, Probabilities
from hybridopt.execution.aer.product_states.operators import (
    generator,
    tensor_train,
    weighted_sum,
)
from tests.circuits.families import FAMILIES

PROGRAM = lower(QuantumCircuit(4))
PROGRAMS = {f.name: lower(f.circuit, f.inputs, f.weights) for f in FAMILIES}


def dense(operator, num_qubits):
    """Return the matrix; qubit 0 is the least significant bit."""
    rows = [np.eye(1)]  # one matrix per bond
    for qubit in range(num_qubits):
        core = operator.cores.get(qubit)
        if core is None:
            core = np.einsum("wv,st->wstv", np.eye(len(rows)), np.eye(2))
        count = core.shape[-1]
        rows = [
            sum(np.kron(core[w, :, :, v], rows[w]) for w in range(len(rows))) for v in range(count)
        ]
    return rows[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_generators_are_those_of_the_gates(name):
    program = PROGRAMS[name]
    for rotation in program.rotations:
        count = program.num_qubits
        found = dense(generator(rotation), count)
        step = 1e-6  # of a central difference at 0
        ahead, behind = (_matrix(rotation, sign * step, count) for sign in (1, -1))
        expected = 1j * (ahead - behind) / (2 * step)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def _matrix(rotation: Rotation, angle: float, num_qubits: int) -> np.ndarray:
    circuit = QuantumCircuit(num_qubits)
    for item in rotation.gates(angle):
        circuit.append(item.gate, item.qubits)
    return Operator(circuit).data


def test_sums_of_observables_are_those_of_dense_matrices():
    observables = tuple(
        SparsePauliOp.from_operator(random_hermitian(16, seed=seed)) for seed in range(3)
    )
    weights = np.array([0.3, -1.2, 0.0])
    operator = weighted_sum(PROGRAM, Expectations(observables), weights)
    expected = sum(w * one.to_matrix() for w, one in zip(weights, observables, strict=True))
    expected = expected - np.trace(expected) / 16 * np.eye(16)
    np.testing.assert_allclose(dense(operator, 4), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("qubits", [(2, 0), (0, 1, 2, 3), (3, 1, 0)])
def test_probabilities_are_diagonals(qubits):
    weights = np.random.default_rng(0).normal(size=2 ** len(qubits))
    operator = weighted_sum(PROGRAM, Probabilities(qubits), weights)
    outcome = sum(((np.arange(16) >> q) & 1) << place for place, q in enumerate(qubits))
    np.testing.assert_allclose(dense(operator, 4), np.diag(weights[outcome]), rtol=0, atol=1e-13)


def ranks(*terms: tuple[str, list[int], float]) -> list[int]:
    observable = SparsePauliOp.from_sparse_list(terms, 8)
    operator = weighted_sum(PROGRAM, Expectations((observable,)), np.ones(1))
    return [core.shape[-1] for core in operator.cores.values()][:-1]


def test_ranks_are_those_of_the_sum():
    assert ranks(("XYZ", [1, 4, 6], 0.3)) == [1, 1]  # a string acts on each qubit alone
    assert ranks(*(("Z", [q], 0.1 + q) for q in range(8))) == [2] * 7
    chain = [("ZZ", [q, q + 1], 1.0 + q) for q in range(7)]
    field = [("X", [q], 0.7) for q in range(8)]
    assert ranks(*chain, *field) == [3] * 7  # of the transverse-field Ising model
    every = [("ZZ", [a, b], 1.0) for a in range(8) for b in range(a)]
    assert ranks(*every) == [2, 3, 3, 3, 3, 3, 2]


def test_sums_without_effect_are_none():
    identity = Expectations((SparsePauliOp("IIIIIIII", 3.0), SparsePauliOp("ZIIIIIII")))
    assert weighted_sum(PROGRAM, identity, np.array([1.0, 0.0])) is None
    assert weighted_sum(PROGRAM, identity, np.zeros(2)) is None
    assert weighted_sum(PROGRAM, Probabilities((0,)), np.zeros(2)) is None


def test_a_train_of_tensors_is_its_table():
    table = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.complex128)
    first, second, third = tensor_train(table)
    found = np.einsum("wav,vbu,ucx->abc", first, second, third)
    np.testing.assert_allclose(found, table, rtol=0, atol=1e-14)
