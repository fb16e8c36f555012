"""Merged steps have the same product as the gates; gates that cannot be read are refused."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import UnitaryGate, XXPlusYYGate
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SuperOp

from hybridopt.errors import UnsupportedError
from hybridopt.execution.aer.density_adjoint.pauli_transfer import transfer_matrix
from hybridopt.execution.aer.density_adjoint.pauli_vectors import Place, apply
from hybridopt.execution.aer.density_adjoint.steps import StepReader

ANGLES = ParameterVector("row", 2)


@pytest.mark.parametrize("seed", range(6))
def test_merged_steps_have_the_product_of_the_gates(seed):
    circuit = random_circuit(3, 6, max_operands=3, seed=seed)
    steps = StepReader([]).steps(circuit)
    product = np.eye(4**3)
    for step in steps:
        product = apply(step.matrix, product.T, Place.of(step.qubits, 3)).T
    expected = transfer_matrix(SuperOp(circuit).to_instruction())
    np.testing.assert_allclose(product, expected, rtol=0, atol=1e-12)
    two_wide = [step for step in steps if len(step.qubits) > 1]
    assert len(steps) <= len(two_wide) + 3  # single gates are merged, except on free qubits


def test_fixed_gates_are_merged_with_rotations():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.rz(2 * ANGLES[0] - 0.3, 0)
    circuit.sx(0)
    circuit.barrier()
    circuit.rzz(ANGLES[1], 1, 0)
    circuit.cx(0, 1)
    first, second = StepReader([ANGLES[1]]).steps(circuit)
    assert (first.qubits, first.per_sample) == ((0,), False)
    assert (second.qubits, second.per_sample) == ((0, 1), True)
    (angle,) = first.angles
    assert (angle.constant, angle.terms) == (-0.3, ((ANGLES[0], 2.0),))


def too_wide(circuit):
    circuit.append(UnitaryGate(np.eye(64)), range(6))


def without_rule(circuit):
    circuit.append(XXPlusYYGate(ANGLES[0]), [0, 1])


def not_linear(circuit):
    circuit.rx(ANGLES[0] * ANGLES[1], 0)


@pytest.mark.parametrize(
    ("add", "words"),
    [(too_wide, "`unitary`"), (without_rule, "`xx_plus_yy`"), (not_linear, "`rx`")],
)
def test_gates_that_cannot_be_read_are_refused(add, words):
    circuit = QuantumCircuit(6)
    add(circuit)
    with pytest.raises(UnsupportedError, match=words):
        StepReader([]).steps(circuit)
