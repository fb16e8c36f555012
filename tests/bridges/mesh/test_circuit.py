"""Circuits of meshes, against state vectors of Qiskit."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp, Statevector

from hybridopt.bridges.mesh.circuit import mesh_program, reference_mode
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
    """2 a_k, one after the other; a single mode cannot hold its sign."""
    angles = [math.atan2(np.linalg.norm(x[k + 1 :]), x[k]) for k in range(len(x) - 2)]
    return 2 * np.array([*angles, *([math.atan2(x[-1], x[-2])] if len(x) > 1 else [])])


def amplitudes(state: Statevector, count: int) -> np.ndarray:
    qubits = state.num_qubits
    paulis = [SparsePauliOp.from_sparse_list([("X", [k], 1.0)], qubits) for k in range(count)]
    return np.array([state.expectation_value(pauli).real for pauli in paulis])


@every_shape
@BOTH
def test_a_loaded_vector_comes_out_multiplied(m, n, native):
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
def test_references_show_the_same_in_z_with_one_excitation(m, n, native):
    mesh, matrix, shared, x = problem(m, n)
    program = mesh_program(mesh, "reference", native=native)
    assert program.num_qubits == mesh.num_modes + m
    p = Statevector(program.bind(loader(x), shared)).probabilities()
    one = p[[1 << qubit for qubit in range(program.num_qubits)]]
    assert one.sum() == pytest.approx(1, abs=1e-13)
    actual = [one[reference_mode(mesh, k)] - one[k] for k in range(m)]
    expected = matrix @ (x if n > 1 else np.ones(1)) / math.sqrt(m)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_circuits_start_with_h_on_the_vacuum_and_have_two_terms_a_weight():
    program = mesh_program(MeshShape(2, 3), "data", native=True, linear=True)
    circuit = program.bind(np.ones(2), np.ones(6))
    assert circuit.data[0].operation.name == "h"
    assert set(circuit.count_ops()) == {"h", "cz", "ry"}
    assert [len(rule) for rule in program.shifts[1]] == [2] * 6


def test_programs_travel():
    program = mesh_program(MeshShape(2, 3), "basis", linear=True)
    copied = pickle.loads(pickle.dumps(program))
    assert (copied.mesh, copied.feed, copied.shifts) == (MeshShape(2, 3), "basis", program.shifts)
    rows, shared = np.arange(3.0), np.arange(6.0)
    assert copied.bind(rows, shared) == program.bind(rows, shared)
