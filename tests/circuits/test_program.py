"""A program is its circuit, in whatever order its layers take the steps."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import Operator

from hybridopt.circuits import CircuitProgram, Program, lower
from hybridopt.circuits.program import frame_changes

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


def numbers(program: CircuitProgram) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return (
        generator.uniform(-3, 3, program.num_row_angles),
        generator.uniform(-3, 3, program.num_shared_angles),
    )


def bound_by_hand(circuit: QuantumCircuit, program: CircuitProgram, row, shared) -> QuantumCircuit:
    """The circuit with inputs and weights for which its expressions take these angles."""
    values = {X[0]: row[0], W[0]: shared[0], W[1]: shared[1], W[3]: shared[2], W[4]: shared[3]}
    values |= {X[1]: 0.7, W[2]: row[1] / 0.7, W[5]: row[2] - 0.7}
    return circuit.assign_parameters(values)


def test_it_is_a_program_with_angles_of_both_kinds():
    _, program = mixed()
    assert isinstance(program, Program)
    assert not isinstance(program.bind(*numbers(program)), Program)
    assert (program.num_qubits, program.num_row_angles, program.num_shared_angles) == (3, 3, 4)
    assert [str(one) for one in program.row_expressions] == ["x[0]", "w[2]*x[1]", "w[5] + x[1]"]


def test_bound_circuit_is_the_users_circuit():
    circuit, program = mixed()
    row, shared = numbers(program)
    expected = Operator(bound_by_hand(circuit, program, row, shared))
    assert Operator(program.bind(row, shared)).equiv(expected, atol=1e-10)
    assert Operator(program.simulator_circuit(row, shared)).equiv(expected, atol=1e-10)


def test_template_takes_the_same_angles():
    _, program = mixed()
    row, shared = numbers(program)
    template, rows, shareds = program.template
    values = dict(zip([*rows, *shareds], [*row, *shared], strict=True))
    assert Operator(template.assign_parameters(values)).equiv(
        Operator(program.bind(row, shared)), atol=1e-10
    )


def test_layers_are_the_same_circuit():
    _, program = mixed()
    row, shared = numbers(program)
    circuit = QuantumCircuit(3)
    for layer in program.layers:
        for item in layer.fixed:
            circuit.append(item.gate, item.qubits)
        for rotation in layer.rotations:
            angle = (row if rotation.per_sample else shared)[rotation.angle]
            for item in rotation.gates(angle):
                circuit.append(item.gate, item.qubits)
    assert Operator(circuit).equiv(Operator(program.bind(row, shared)), atol=1e-10)


def test_layers_hold_all_rotations_once_and_side_by_side_only_what_commutes():
    _, program = mixed()
    held = [rotation for layer in program.layers for rotation in layer.rotations]
    assert sorted(map(id, held)) == sorted(map(id, program.rotations))
    for layer in program.layers:
        frames: dict[int, object] = {}
        for rotation in layer.rotations:
            for qubit, frame in rotation.frames.items():
                assert frames.setdefault(qubit, frame) == frame


def test_rotations_of_one_layer_of_an_ansatz_stand_side_by_side():
    circuit = QuantumCircuit(4)
    w = ParameterVector("w", 8)
    for layer in range(2):
        for qubit in range(4):
            circuit.ry(w[4 * layer + qubit], qubit)
        for qubit in range(3):
            circuit.cx(qubit, qubit + 1)
    assert [len(layer.rotations) for layer in lower(circuit, (), list(w)).layers] == [4, 4, 0]


@pytest.mark.parametrize("place", range(3))
def test_frames_are_entered_once_and_left_again(place):
    _, program = mixed()
    rotations = program.layers[place].rotations
    into, out = frame_changes(rotations)
    circuit = QuantumCircuit(3)
    for item in (*into, *out):
        circuit.append(item.gate, item.qubits)
    assert Operator(circuit).equiv(Operator(np.eye(8)), atol=1e-10)


def test_shifts_stand_in_the_order_of_the_angles():
    _, program = mixed()
    of_rows, of_shared = program.shifts
    assert [len(rule) for rule in of_rows] == [2, 4, 2]  # ry, crx, p
    assert [len(rule) for rule in of_shared] == [2, 2, 4, 2]  # rx, rzz, xx_plus_yy, rz


def test_derived_things_are_made_once():
    _, program = mixed()
    made = [program.derived("key", object) for _ in range(2)]
    assert made[0] is made[1]
    assert program.derived("other key", object) is not made[0]


def test_it_travels_without_what_was_derived():
    _, program = mixed()
    program.derived("what cannot travel", lambda: lambda: None)
    copied = pickle.loads(pickle.dumps(program))
    row, shared = numbers(program)
    assert Operator(copied.bind(row, shared)).equiv(Operator(program.bind(row, shared)))
    assert copied.shifts == program.shifts


def test_working_memory_doubles_with_each_qubit():
    sizes = [lower(QuantumCircuit(n), (), ()).working_memory() for n in (3, 4)]
    assert sizes[1] == 2 * sizes[0]
    assert sizes[0] >= 16 * 8  # the state alone
