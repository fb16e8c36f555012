"""Matrix product states in numpy, against state vectors."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_aer import AerSimulator

from hybridopt.circuits import lower
from hybridopt.execution import Expectations, Probabilities
from hybridopt.execution.aer.product_states.chain import (
    amplitudes_of,
    applied,
    overlaps,
    tensors_of,
)
from hybridopt.execution.aer.product_states.operators import weighted_sum

COUNT = 5
SIMULATOR = AerSimulator(method="matrix_product_state")


def circuit_of(seed: int) -> QuantumCircuit:
    ansatz = efficient_su2(COUNT, reps=2, entanglement="circular")
    values = np.random.default_rng(seed).uniform(-3, 3, ansatz.num_parameters)
    return ansatz.assign_parameters(values)


def saved(circuit: QuantumCircuit):
    circuit = circuit.copy()
    circuit.save_matrix_product_state(label="state")
    return SIMULATOR.run(circuit).result().data(0)["state"]


def operator_of(*terms: tuple[str, complex]):
    observable = SparsePauliOp.from_list(terms)
    operator = weighted_sum(lower(QuantumCircuit(COUNT)), Expectations((observable,)), np.ones(1))
    return operator, observable.to_matrix()


def dense(tensors) -> np.ndarray:
    state = np.ones((1, 1))  # basis states of the qubits so far; qubit 0 is the lowest bit
    for tensor in tensors:
        state = np.einsum("ka,asb->skb", state, tensor).reshape(-1, tensor.shape[-1])
    return state.ravel()


TERMS = ("XIIYZ", 0.7), ("IIZII", -0.4), ("YYIXI", 1.1), ("IIIII", 0.0)


def test_states_of_aer_are_read():
    circuit = circuit_of(0)
    found, expected = dense(tensors_of(saved(circuit))), Statevector(circuit).data
    assert abs(np.vdot(found, expected)) == pytest.approx(1, abs=1e-12)  # up to a phase


@pytest.mark.parametrize("terms", [TERMS, [("XIYZI", -0.3)]], ids=["sum", "string"])
def test_products_with_operators_go_back_to_aer(terms):
    state = saved(circuit_of(1))
    operator, matrix = operator_of(*terms)
    product, norm = applied(operator, state, 1e-16)
    expected = matrix @ dense(tensors_of(state))
    assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-12)
    start = QuantumCircuit(COUNT)
    start.append(Instruction("set_matrix_product_state", COUNT, 0, [product]), range(COUNT))
    found = dense(tensors_of(saved(start)))
    np.testing.assert_allclose(norm * found, expected, rtol=0, atol=1e-12)
    coefficients = [
        np.linalg.svd(found.reshape(-1, 1 << cut), compute_uv=False) for cut in range(1, COUNT)
    ]
    for known, one in zip(product[1], coefficients, strict=True):  # Vidal's form
        np.testing.assert_allclose(known, one[: len(known)], rtol=0, atol=1e-12)


def test_products_are_truncated_as_in_aer():
    state = saved(circuit_of(2))
    operator, _ = operator_of(*TERMS)
    (_, exact), _ = applied(operator, state, 0.0)
    weights = exact[0] ** 2  # of the cut above qubit 0, which is truncated first
    for truncation, rank in ((0.9 * weights[1], 2), (1.1 * weights[1], 1)):
        (_, short), _ = applied(operator, state, float(truncation))
        assert len(short[0]) == rank
        np.testing.assert_allclose([np.linalg.norm(one) for one in short], 1, rtol=0, atol=1e-12)


def test_a_product_of_norm_zero_has_no_state():
    program = lower(QuantumCircuit(COUNT))
    other = weighted_sum(program, Probabilities((2,)), np.array([0.0, 1.0]))
    assert applied(other, saved(QuantumCircuit(COUNT)), 1e-16) == (None, 0.0)


def test_overlaps_are_matrix_elements():
    circuits = circuit_of(3), circuit_of(4)
    bra, ket = (tensors_of(saved(circuit)) for circuit in circuits)
    cases = [TERMS, (("IIIIX", 1.0),), (("ZIIII", 1.0),), (("IYIXI", 0.5), ("IZIII", 2.0))]
    operators, matrices = zip(*(operator_of(*case) for case in cases), strict=True)
    found = overlaps(bra, ket, operators)
    expected = [dense(bra).conj() @ matrix @ dense(ket) for matrix in matrices]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert overlaps(bra, ket, []).size == 0


@pytest.mark.parametrize("qubits", [(2,), (3, 0, 4), (0, 1, 2, 3, 4)])
def test_amplitudes_of_some_qubits(qubits):
    tensors = tensors_of(saved(circuit_of(5)))
    index = np.arange(1 << len(qubits))
    places = sum(((index >> bit) & 1) << qubit for bit, qubit in enumerate(qubits))
    np.testing.assert_allclose(
        amplitudes_of(tensors, qubits), dense(tensors)[places], rtol=0, atol=1e-14
    )
