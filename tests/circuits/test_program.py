"""Programs against their circuits: bound circuits, templates, layers and frames."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import Operator, Statevector
from scipy.linalg import hadamard

from hybridopt.circuits import CircuitProgram, Program, lower
from hybridopt.circuits.program import template_of
from hybridopt.circuits.steps import FixedGate, frame_changes
from tests.circuits.programs import programs

X, W = ParameterVector("x", 2), ParameterVector("w", 6)


def mixed() -> tuple[QuantumCircuit, CircuitProgram]:
    circuit = QuantumCircuit(3)
    circuit.ry(X[0], 0)
    circuit.rx(W[0], 1)
    circuit.rzz(W[1], 0, 2)
    circuit.crx(W[2] * X[1], 0, 1)
    circuit.cx(1, 2)
    circuit.append(XXPlusYYGate(W[3]), [0, 2])
    circuit.rz(W[4], 2)
    circuit.p(X[1] + W[5], 2)
    circuit.h(1)
    return circuit, lower(circuit, list(X), list(W))


CIRCUIT, PROGRAM = mixed()
PROGRAMS = programs()
ROW, SHARED = np.random.default_rng(0).uniform(-3, 3, 3), np.array([1.2, -0.7, 2.1, -2.6])
BOUND = Operator(PROGRAM.bind(ROW, SHARED))


def circuit_of(gates: list[FixedGate]) -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    for item in gates:
        circuit.append(item.gate, item.qubits)
    return circuit


def test_program_has_row_angles_and_shared_angles():
    assert isinstance(PROGRAM, Program)
    assert not isinstance(CIRCUIT, Program)
    assert (PROGRAM.num_qubits, PROGRAM.num_row_angles, PROGRAM.num_shared_angles) == (3, 3, 4)
    assert [str(one) for one in PROGRAM.row_expressions] == ["x[0]", "w[2]*x[1]", "w[5] + x[1]"]


def test_bound_circuits_and_template_are_the_given_circuit():
    values = {X[0]: ROW[0], W[0]: SHARED[0], W[1]: SHARED[1], W[3]: SHARED[2], W[4]: SHARED[3]}
    values |= {X[1]: 0.7, W[2]: ROW[1] / 0.7, W[5]: ROW[2] - 0.7}
    assert BOUND.equiv(Operator(CIRCUIT.assign_parameters(values)), atol=1e-10)
    assert BOUND.equiv(Operator(PROGRAM.simulator_circuit(ROW, SHARED)), atol=1e-10)
    template, rows, shared = PROGRAM.template
    angles = dict(zip([*rows, *shared], [*ROW, *SHARED], strict=True))
    assert BOUND.equiv(Operator(template.assign_parameters(angles)), atol=1e-10)


def bound_template(program: Program, rows: np.ndarray, shared: np.ndarray) -> QuantumCircuit | None:
    """Return the template at the first row of each table."""
    template = template_of(program)
    if template is None:
        return None
    tables = program.template_angles(rows, shared)
    assert [len(table) for table in tables] == [len(rows), len(shared)]
    pairs = zip((template.rows, template.shared), tables, strict=True)
    values = {p: v for of, table in pairs for p, v in zip(of, table[0], strict=True)}
    assert set(values) == set(template.circuit.parameters)
    return template.circuit.assign_parameters(values)


@pytest.mark.parametrize("name", PROGRAMS)
def test_template_has_the_state_and_the_phase_of_the_bound_circuit(name):
    program, generator = PROGRAMS[name], np.random.default_rng(1)
    rows = generator.uniform(-3, 3, (2, program.num_row_angles))
    shared = generator.uniform(-3, 3, (3, program.num_shared_angles))
    if name == "sparse":  # a sum of its columns
        z = generator.uniform(-1, 1, (3, 2))
        shared = np.pi / 2 + z @ hadamard(8)[[1, 6]]
    found = bound_template(program, rows, shared)
    if name in {"user", "other"}:
        assert found is None
        return
    assert found is not None
    expected = Statevector(program.bind(rows[0], shared[0]))
    np.testing.assert_allclose(Statevector(found).data, expected.data, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["multiplexer 3", "sparse", "mesh reference True", "mesh data False", "generator"]
)
def test_template_is_transpiled_with_free_angles(name):
    program, generator = PROGRAMS[name], np.random.default_rng(2)
    template = program.template
    native = transpile(template.circuit, basis_gates=["rz", "sx", "cx"], optimization_level=1)
    assert set(native.count_ops()) <= {"rz", "sx", "cx"}
    rows = generator.uniform(-3, 3, (1, program.num_row_angles))
    shared = np.pi / 2 + generator.uniform(-1, 1, (1, 1)) * np.ones((1, program.num_shared_angles))
    tables = program.template_angles(rows, shared)
    values = dict(
        zip([*template.rows, *template.shared], [*tables[0][0], *tables[1][0]], strict=True)
    )
    found = Statevector(native.assign_parameters({p: values[p] for p in native.parameters}))
    assert found.equiv(Statevector(program.bind(rows[0], shared[0])), rtol=0, atol=1e-10)


def test_template_is_the_same_object_until_it_is_pickled():
    for name in ("multiplexer 2", "generator"):
        program = PROGRAMS[name]
        assert program.template is program.template
        copied = pickle.loads(pickle.dumps(program))
        assert copied.fingerprint == program.fingerprint
        assert [p.name for p in copied.template.shared] == [p.name for p in program.template.shared]


def test_layers_are_the_same_circuit():
    gates: list[FixedGate] = []
    for layer in PROGRAM.layers:
        gates += layer.fixed
        for rotation in layer.rotations:
            gates += rotation.gates((ROW if rotation.per_sample else SHARED)[rotation.angle])
    assert BOUND.equiv(Operator(circuit_of(gates)), atol=1e-10)


def test_layers_hold_each_rotation_once_and_rotations_of_a_layer_commute():
    held = [rotation for layer in PROGRAM.layers for rotation in layer.rotations]
    assert sorted(map(id, held)) == sorted(map(id, PROGRAM.rotations))
    for layer in PROGRAM.layers:
        frames: dict[int, object] = {}
        for rotation in layer.rotations:
            for qubit, frame in rotation.frames.items():
                assert frames.setdefault(qubit, frame) == frame
        into, out = frame_changes(layer.rotations)
        assert Operator(circuit_of([*into, *out])).equiv(Operator(np.eye(8)), atol=1e-10)


def test_rotations_of_an_ansatz_layer_share_one_layer():
    circuit = QuantumCircuit(4)
    w = ParameterVector("w", 8)
    for layer in range(2):
        for qubit in range(4):
            circuit.ry(w[4 * layer + qubit], qubit)
        for qubit in range(3):
            circuit.cx(qubit, qubit + 1)
    assert [len(layer.rotations) for layer in lower(circuit, (), list(w)).layers] == [4, 4, 0]


def test_shift_rules_have_the_order_of_the_angles():
    of_rows, of_shared = PROGRAM.shifts
    assert [len(rule) for rule in of_rows] == [2, 4, 2]  # ry, crx, p
    assert [len(rule) for rule in of_shared] == [2, 2, 4, 2]  # rx, rzz, xx_plus_yy, rz


def test_derived_values_are_cached_and_not_pickled():
    _, program = mixed()
    made = [program.derived("key", object) for _ in range(2)]
    assert made[0] is made[1]
    assert program.derived("other key", object) is not made[0]
    program.derived("no pickle", lambda: lambda: None)
    copied = pickle.loads(pickle.dumps(program))
    assert Operator(copied.bind(ROW, SHARED)).equiv(BOUND)
    assert copied.shifts == program.shifts


def test_working_memory_doubles_with_each_qubit():
    sizes = [lower(QuantumCircuit(n), (), ()).working_memory() for n in (3, 4)]
    assert sizes[1] == 2 * sizes[0]
    assert sizes[0] >= 16 * 8  # the state alone
