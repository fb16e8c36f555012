"""Circuits of meshes, compared with state vectors of Qiskit."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_statevector

from hybridopt.bridges.mesh.circuit import mesh_program, mode_rotation, reference_mode
from hybridopt.bridges.mesh.decomposition import MeshShape

SHAPES = [(1, 1), (1, 3), (3, 1), (2, 2), (3, 2), (2, 4)]
every_shape = pytest.mark.parametrize(("m", "n"), SHAPES)
BOTH = pytest.mark.parametrize("native", [True, False])


def problem(m: int, n: int):
    rng = np.random.default_rng((m, n, 1))
    matrix, x = rng.normal(size=(m, n)), rng.normal(size=n)
    mesh, alpha = MeshShape(m, n), 2 * np.linalg.norm(matrix, 2)
    return mesh, matrix / alpha, -2 * mesh.decompose(matrix, alpha), x / np.linalg.norm(x)


def loader(x: np.ndarray) -> np.ndarray:
    """Return the angles 2 a_k; a single mode cannot hold its sign."""
    angles = [math.atan2(np.linalg.norm(x[k + 1 :]), x[k]) for k in range(len(x) - 2)]
    return 2 * np.array([*angles, *([math.atan2(x[-1], x[-2])] if len(x) > 1 else [])])


def amplitudes(state: Statevector, count: int) -> np.ndarray:
    qubits = state.num_qubits
    paulis = [SparsePauliOp.from_sparse_list([("X", [k], 1.0)], qubits) for k in range(count)]
    return np.array([state.expectation_value(pauli).real for pauli in paulis])


@every_shape
@BOTH
def test_loaded_vector_is_multiplied(m, n, native):
    mesh, matrix, shared, x = problem(m, n)
    program = mesh_program(mesh, "data", native=native)
    state = Statevector(program.bind(loader(x), shared))
    expected = matrix @ (x if n > 1 else np.ones(1))
    np.testing.assert_allclose(amplitudes(state, m), expected, rtol=0, atol=1e-13)


@every_shape
def test_basis_inputs_give_the_columns(m, n):
    mesh, matrix, shared, _ = problem(m, n)
    program = mesh_program(mesh, "basis")
    for j in range(n):
        for circuit in (
            program.bind(np.pi / 2 * np.eye(n)[j], shared),
            mesh_program(mesh, j).bind(np.zeros(0), shared),
        ):
            actual = amplitudes(Statevector(circuit), m)
            np.testing.assert_allclose(actual, matrix[:, j], rtol=0, atol=1e-13)


@every_shape
@BOTH
def test_references_give_the_product_in_z(m, n, native):
    mesh, matrix, shared, x = problem(m, n)
    program = mesh_program(mesh, "reference", native=native)
    assert program.num_qubits == mesh.num_modes + m
    p = Statevector(program.bind(loader(x), shared)).probabilities()
    one = p[[1 << qubit for qubit in range(program.num_qubits)]]
    assert one.sum() == pytest.approx(1, abs=1e-13)
    actual = [one[reference_mode(mesh, k)] - one[k] for k in range(m)]
    expected = matrix @ (x if n > 1 else np.ones(1)) / math.sqrt(m)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_hardware_circuit_has_two_shift_terms_per_weight():
    program = mesh_program(MeshShape(2, 3), "data", native=True, linear=True)
    circuit = program.bind(np.ones(2), np.ones(6))
    assert circuit.data[0].operation.name == "h"
    assert set(circuit.count_ops()) == {"h", "cz", "ry"}
    assert [len(rule) for rule in program.shifts[1]] == [2] * 6


def test_programs_can_be_pickled():
    program = mesh_program(MeshShape(2, 3), "basis", linear=True)
    copied = pickle.loads(pickle.dumps(program))
    assert (copied.mesh, copied.feed, copied.shifts) == (MeshShape(2, 3), "basis", program.shifts)
    rows, shared = np.arange(3.0), np.arange(6.0)
    assert copied.bind(rows, shared) == program.bind(rows, shared)


def matrix(gates, num_qubits: int = 2) -> np.ndarray:
    circuit = QuantumCircuit(num_qubits)
    for gate, qubits in gates:
        circuit.append(gate, qubits)
    return Operator(circuit).data


@BOTH
def test_rotation_acts_on_one_excitation_only(native):
    phi = 0.74
    c, s = math.cos(phi / 2), math.sin(phi / 2)
    expected = np.eye(4)
    expected[1:3, 1:3] = [[c, -s], [s, c]]  # e_a = |01>, e_b = |10>
    actual = matrix(mode_rotation(native, False).gates(phi))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)
    qiskit = Operator(XXPlusYYGate(-phi, -math.pi / 2)).data
    np.testing.assert_allclose(actual, qiskit, rtol=0, atol=1e-15)


def test_native_rotation_has_h_cz_and_ry():
    names = [gate.name for gate, _ in mode_rotation(True, False).gates(0.3)]
    assert sorted(names) == ["cz"] * 2 + ["h"] * 4 + ["ry"] * 2


@BOTH
def test_rotation_is_diagonal_in_its_frame(native):
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


def check_derivative(family, state, letters: str, num_terms: int) -> None:
    """Compare the shift rule with a central difference; truncation h^2/6, rounding 1e-16/h."""
    observable, phi, h = SparsePauliOp(letters), 0.4, 1e-5
    slope = value(family, state, observable, phi + h) - value(family, state, observable, phi - h)
    assert len(family.shifts) == num_terms
    assert derivative(family, state, observable, phi) == pytest.approx(slope / (2 * h), abs=1e-9)


@BOTH
@pytest.mark.parametrize("letters", ["ZII", "XXI", "YZX"])
def test_four_terms_are_exact_for_every_state(native, letters):
    family = mode_rotation(native, False)
    check_derivative(family, random_statevector(8, seed=3), letters, 4)


@pytest.mark.parametrize("letters", ["IIX", "XII", "IXI"])
def test_two_terms_are_exact_for_at_most_one_excitation(letters):
    amplitudes = np.zeros(8)
    amplitudes[[0, 1, 2, 4]] = [0.7, 0.3, -0.5, math.sqrt(1 - 0.49 - 0.09 - 0.25)]
    check_derivative(mode_rotation(False, True), Statevector(amplitudes), letters, 2)


@BOTH
def test_pickled_rotation_is_the_same_object(native):
    family = mode_rotation(native, True)
    assert pickle.loads(pickle.dumps(family)) is family
