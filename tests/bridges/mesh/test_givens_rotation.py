"""The rotation of one excitation between two qubits."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_statevector

from hybridopt.bridges.mesh.circuit import mode_rotation

BOTH = pytest.mark.parametrize("native", [True, False])


def matrix(gates, num_qubits: int = 2) -> np.ndarray:
    circuit = QuantumCircuit(num_qubits)
    for gate, qubits in gates:
        circuit.append(gate, qubits)
    return Operator(circuit).data


@BOTH
def test_one_excitation_turns_and_none_and_two_stay(native):
    phi = 0.74
    c, s = math.cos(phi / 2), math.sin(phi / 2)
    expected = np.eye(4)
    expected[1:3, 1:3] = [[c, -s], [s, c]]  # e_a = |01>, e_b = |10>
    actual = matrix(mode_rotation(native, False).gates(phi))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)
    qiskit = Operator(XXPlusYYGate(-phi, -math.pi / 2)).data
    np.testing.assert_allclose(actual, qiskit, rtol=0, atol=1e-15)


def test_hardware_runs_it_in_hadamards_cz_and_ry():
    names = [gate.name for gate, _ in mode_rotation(True, False).gates(0.3)]
    assert sorted(names) == ["cz"] * 2 + ["h"] * 4 + ["ry"] * 2


@BOTH
def test_in_its_frame_it_is_a_diagonal(native):
    family, phi = mode_rotation(native, False), -1.3
    gates = (*family.into_frame, family.phases(phi), *family.out_of_frame)
    np.testing.assert_allclose(matrix(gates), matrix(family.gates(phi)), rtol=0, atol=1e-15)
    diagonal = np.exp(-1j * phi * family.eigenvalues)
    np.testing.assert_allclose(matrix([family.phases(phi)]), np.diag(diagonal), atol=1e-15)


def derivative(family, state, observable, phi: float) -> float:
    return sum(c * value(family, state, observable, phi + shift) for c, shift in family.shifts)


def value(family, state, observable, phi: float) -> float:
    circuit = QuantumCircuit(3)
    for gate, qubits in family.gates(phi):
        circuit.append(gate, [(2, 0)[q] for q in qubits])
    return state.evolve(circuit).expectation_value(observable).real


@BOTH
@pytest.mark.parametrize("letters", ["ZII", "XXI", "YZX"])
def test_four_terms_are_exact_for_every_state_and_readout(native, letters):
    family, state = mode_rotation(native, False), random_statevector(8, seed=3)
    observable, phi, h = SparsePauliOp(letters), 0.4, 1e-5
    slope = value(family, state, observable, phi + h) - value(family, state, observable, phi - h)
    assert len(family.shifts) == 4
    assert derivative(family, state, observable, phi) == pytest.approx(slope / (2 * h), abs=1e-9)


@pytest.mark.parametrize("letters", ["IIX", "XII", "IXI"])
def test_two_terms_are_exact_where_at_most_one_mode_is_excited(letters):
    amplitudes = np.zeros(8)
    amplitudes[[0, 1, 2, 4]] = [0.7, 0.3, -0.5, math.sqrt(1 - 0.49 - 0.09 - 0.25)]
    family, state = mode_rotation(False, True), Statevector(amplitudes)
    observable, phi, h = SparsePauliOp(letters), 0.4, 1e-5
    slope = value(family, state, observable, phi + h) - value(family, state, observable, phi - h)
    assert len(family.shifts) == 2
    assert derivative(family, state, observable, phi) == pytest.approx(slope / (2 * h), abs=1e-9)


def test_it_travels():
    for native in (True, False):
        family = mode_rotation(native, True)
        assert pickle.loads(pickle.dumps(family)) is family
