"""Observables in every form of Qiskit, by their matrices."""

import numpy as np
import pytest
import torch
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp

import hybridopt as ho
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.errors import ArgumentError, ArgumentTypeError


def hermitian(dimension, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(dimension,) * 2) + 1j * rng.normal(size=(dimension,) * 2)
    return matrix + matrix.conj().T


PROJECTOR = SparseObservable.from_list([("0Z+", 0.5), ("rXI", -1.25)])
FORMS = [
    ("XIZ", Pauli("XIZ").to_matrix()),
    (Pauli("-YIZ"), Pauli("-YIZ").to_matrix()),
    (SparsePauliOp(["XIZ", "IYI"], [0.5, -2]), None),
    (PROJECTOR, SparsePauliOp.from_sparse_observable(PROJECTOR).to_matrix()),
    (Operator(hermitian(8)), hermitian(8)),
    ({"0II": 2.0, "+Z1": -1.0}, None),
]


@pytest.mark.parametrize(("given", "matrix"), FORMS, ids=lambda part: type(part).__name__)
def test_matrix_is_kept(given, matrix):
    if isinstance(given, dict):
        single = {
            "0": np.diag([1, 0]),
            "1": np.diag([0, 1]),
            "+": np.full((2, 2), 0.5),
            "Z": np.diag([1, -1]),
            "I": np.eye(2),
        }
        matrix = sum(
            factor * np.kron(np.kron(single[a], single[b]), single[c])
            for (a, b, c), factor in given.items()
        )
    if matrix is None:
        matrix = given.to_matrix()
    np.testing.assert_allclose(as_pauli_sum(given).to_matrix(), matrix, atol=1e-12)


def test_layer_reads_operators_and_sparse_observables():
    ansatz = real_amplitudes(3, reps=2)
    weights = np.linspace(-1, 2, ansatz.num_parameters)
    observables = [Operator(hermitian(8, seed=3)), PROJECTOR, "ZXI"]
    layer = ho.CircuitLayer(ansatz, [], ansatz.parameters, observables, initial=weights)
    state = Operator(ansatz.assign_parameters(weights)).data[:, 0]
    matrices = [as_pauli_sum(one).to_matrix() for one in observables]
    expected = [(state.conj() @ matrix @ state).real for matrix in matrices]
    found = layer(torch.zeros(1, 0, dtype=torch.float64))[0].tolist()
    assert found == pytest.approx(expected, abs=1e-12)
    alone = ho.CircuitLayer(ansatz, [], ansatz.parameters, observables[0], initial=weights)
    assert alone(torch.zeros(1, 0, dtype=torch.float64)).tolist() == [[pytest.approx(expected[0])]]


def test_refused():
    with pytest.raises(ArgumentError, match="Hermitian"):
        as_pauli_sum(Operator(np.triu(hermitian(8))))
    with pytest.raises(ArgumentError, match="10 qubits"):
        as_pauli_sum(Operator(np.eye(2**11)))
    with pytest.raises(ArgumentError, match="10 qubits"):
        as_pauli_sum(Operator(np.eye(3)))
    with pytest.raises(ArgumentTypeError, match="`observables`"):
        as_pauli_sum(3, "observables")
    with pytest.raises(ArgumentError, match="'ZQI'"):
        as_pauli_sum("ZQI")
