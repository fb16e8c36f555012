"""Memory circuit, compared with dense matrices from numpy's kron."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from qiskit import qasm3, transpile
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from qiskit_aer import AerSimulator
from scipy.linalg import hadamard

from hybridopt.bridges.memory.circuit import (
    SYNTHESES,
    MemoryProgram,
    chain_program,
    index_qubits,
    split_probabilities,
)
from hybridopt.circuits.multiplexer import walsh_hadamard
from hybridopt.errors import ArgumentError
from hybridopt.execution import Job, Probabilities

NO_ROW = np.zeros(0)
both_syntheses = pytest.mark.parametrize("synthesis", SYNTHESES)


def angles(num_index_qubits: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, 1 << num_index_qubits)


def walsh_angles(theta: np.ndarray) -> np.ndarray:
    return walsh_hadamard(theta) / len(theta)


def rotation(theta: float) -> np.ndarray:
    cos, sin = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([[cos, -sin], [sin, cos]])


def dense_unitary(theta: np.ndarray) -> np.ndarray:
    """Return sum_k RY(theta_k) x |k><k| after Hadamards; the data qubit is the highest."""
    size = len(theta)
    selected = sum(np.kron(rotation(t), np.diag(np.eye(size)[k])) for k, t in enumerate(theta))
    return selected @ np.kron(np.eye(2), hadamard(size) / np.sqrt(size))


@both_syntheses
@pytest.mark.parametrize("num_index_qubits", [1, 2, 3, 4])
def test_unitary_is_the_dense_one(synthesis, num_index_qubits):
    theta = angles(num_index_qubits)
    circuit = MemoryProgram(num_index_qubits, synthesis).bind(NO_ROW, theta)
    np.testing.assert_allclose(Operator(circuit).data, dense_unitary(theta), rtol=0, atol=1e-12)


@both_syntheses
def test_simulator_circuit_prepares_the_same_state_on_aer(synthesis):
    theta = angles(3, seed=2)
    program = MemoryProgram(3, synthesis)
    circuit = program.simulator_circuit(NO_ROW, theta)
    circuit.save_statevector()
    state = AerSimulator(method="statevector").run(circuit).result().get_statevector()
    expected = Statevector(program.bind(NO_ROW, theta))
    np.testing.assert_allclose(np.asarray(state), expected.data, rtol=0, atol=1e-12)


@both_syntheses
def test_expectation_value_at_each_index_is_its_cosine(synthesis):
    theta = angles(3, seed=3)
    state = Statevector(MemoryProgram(3, synthesis).bind(NO_ROW, theta))
    for k in range(8):
        observable = SparsePauliOp("Z")
        for bit in (2, 1, 0):
            projector = SparsePauliOp(["I", "Z"], [0.5, -0.5 if k >> bit & 1 else 0.5])
            observable = observable.tensor(projector)
        value = state.expectation_value(observable).real
        assert value == pytest.approx(np.cos(theta[k]) / 8, rel=0, abs=1e-14)


@both_syntheses
@pytest.mark.parametrize("num_index_qubits", [3, 6])
def test_readout_is_the_closed_form(synthesis, num_index_qubits):
    theta = angles(num_index_qubits, seed=4)
    state = Statevector(MemoryProgram(num_index_qubits, synthesis).bind(NO_ROW, theta))
    cosines = split_probabilities(state.probabilities())
    np.testing.assert_allclose(cosines, np.cos(theta), rtol=0, atol=1e-10)


def test_walsh_angles_solve_the_chain():
    theta = angles(4, seed=5)
    np.testing.assert_allclose(hadamard(16) @ walsh_angles(theta), theta, rtol=0, atol=1e-13)


def test_first_angle_of_the_chain_shifts_every_theta():
    theta = angles(3, seed=6)
    moved = walsh_angles(theta + 0.7) - walsh_angles(theta)
    np.testing.assert_allclose(moved, 0.7 * np.eye(8)[0], rtol=0, atol=1e-14)


def test_chain_has_one_rotation_and_one_cx_per_angle():
    operations = MemoryProgram(4, "gates").bind(NO_ROW, angles(4)).count_ops()
    assert operations == {"h": 4, "ry": 16, "cx": 16}


def sums_of(columns: tuple[int, ...], size: int) -> np.ndarray:
    """Return pi/2 plus a sum of these Walsh columns."""
    coefficients = np.random.default_rng(9).uniform(-0.5, 0.5, len(columns))
    return np.pi / 2 + hadamard(size)[:, list(columns)] @ coefficients


COLUMNS = [(1, 2, 7, 11, 12), (0, 15), (8,), tuple(range(16))]


@both_syntheses
@pytest.mark.parametrize("columns", COLUMNS)
def test_sparse_form_is_the_same_unitary(synthesis, columns):
    theta = sums_of(columns, 16)
    circuit = MemoryProgram(4, synthesis, columns).bind(NO_ROW, theta)
    np.testing.assert_allclose(Operator(circuit).data, dense_unitary(theta), rtol=0, atol=1e-12)


@pytest.mark.parametrize("columns", COLUMNS)
def test_sparse_chain_has_no_rotation_for_an_angle_of_zero(columns):
    operations = MemoryProgram(4, "gates", columns).bind(NO_ROW, sums_of(columns, 16)).count_ops()
    assert operations["ry"] == len({0, *columns})
    assert operations["cx"] <= 16


@pytest.mark.parametrize("columns", [None, *COLUMNS])
def test_chain_program_is_the_chain_with_free_angles(columns):
    program, order = chain_program(4, columns)
    assert program is chain_program(4, columns)[0]  # executors cache per program
    assert sorted(order) == sorted(range(16) if columns is None else columns)
    theta = angles(4) if columns is None else sums_of(columns, 16)
    circuit = program.bind(NO_ROW, walsh_angles(theta)[list(order)])
    np.testing.assert_allclose(Operator(circuit).data, dense_unitary(theta), rtol=0, atol=1e-12)


def test_multiplexer_form_has_one_gate_with_all_angles():
    theta = angles(4)
    circuit = MemoryProgram(4).bind(NO_ROW, theta)
    assert circuit.count_ops() == {"h": 4, "ucry": 1}
    assert circuit.data[-1].operation.params == theta.tolist()


def test_aer_receives_one_matrix_per_angle():
    theta = angles(4)
    circuit = MemoryProgram(4).simulator_circuit(NO_ROW, theta)
    assert circuit.count_ops() == {"h": 4, "multiplexer": 1}
    matrices = circuit.data[-1].operation.params
    np.testing.assert_allclose(matrices, [rotation(t) for t in theta], rtol=0, atol=1e-15)


def test_former_name_is_the_same_program():
    former = MemoryProgram(3, "diagonal")
    assert former == MemoryProgram(3)
    assert (
        former.fingerprint == MemoryProgram(3).fingerprint != MemoryProgram(3, "gates").fingerprint
    )


def test_chain_can_be_written_as_openqasm():
    circuit = MemoryProgram(3, "gates").bind(NO_ROW, angles(3))
    read = qasm3.loads(qasm3.dumps(circuit))
    np.testing.assert_allclose(Operator(read).data, Operator(circuit).data, rtol=0, atol=1e-12)


@both_syntheses
def test_circuit_can_be_transpiled_to_hardware_gates(synthesis):
    circuit = MemoryProgram(3, synthesis).bind(NO_ROW, angles(3))
    lowered = transpile(circuit, basis_gates=["rz", "sx", "cx"], optimization_level=1)
    assert set(lowered.count_ops()) <= {"rz", "sx", "cx"}
    assert Operator(lowered).equiv(Operator(circuit))


@pytest.mark.parametrize(
    ("num_values", "expected"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (1510, 11), (2**20, 20), (2**20 + 1, 21)],
)
def test_index_qubits(num_values, expected):
    assert index_qubits(num_values) == expected


def test_sizes_of_a_program():
    program = MemoryProgram(3)
    assert (program.num_qubits, program.num_row_angles, program.num_shared_angles) == (4, 0, 8)
    assert program.working_memory() == 2 * MemoryProgram(2).working_memory()
    assert pickle.loads(pickle.dumps(program)) == program


def test_unmeasured_place_reads_zero():
    frequencies = np.array([0.25, 0.0, 0.0, 0.5, 0.25, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(split_probabilities(frequencies), [0.0, 0.0, 0.0, 1.0])


@both_syntheses
@pytest.mark.parametrize("columns", COLUMNS)
def test_sparse_angles_beyond_a_period_are_exact_or_refused(synthesis, columns):
    program, theta = MemoryProgram(4, synthesis, columns), 40 * sums_of(columns, 16)
    reduced = Job(program, Probabilities(), np.zeros((1, 0)), theta[None]).shared
    assert not np.array_equal(theta, reduced[0])
    circuit = program.bind(NO_ROW, reduced[0])
    np.testing.assert_allclose(Operator(circuit).data, dense_unitary(theta), rtol=0, atol=1e-12)
    lost = sorted({*range(16)} - {0, *columns})
    if np.allclose(hadamard(16)[lost] @ reduced[0], 0, rtol=0, atol=1e-9):
        _, (values,) = program.template_angles(np.zeros((1, 0)), reduced)
        bound = program.template.circuit.assign_parameters(
            dict(zip(program.template.shared, values, strict=True))
        )
        np.testing.assert_allclose(Operator(bound).data, Operator(circuit).data, atol=1e-12)
    else:
        with pytest.raises(ArgumentError, match="Walsh"):
            program.template_angles(np.zeros((1, 0)), reduced)
