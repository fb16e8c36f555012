"""Lowered circuits against the given circuits; rejected instructions and parameters."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit_aer  # noqa: F401  # brings `save_statevector`
from qiskit import AncillaRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import AnnotatedOperation, Gate, Instruction, Parameter, ParameterVector
from qiskit.circuit import library as lib
from qiskit.circuit.annotated_operation import ControlModifier, PowerModifier
from qiskit.quantum_info import (
    Clifford,
    Kraus,
    Operator,
    SparsePauliOp,
    Statevector,
    random_clifford,
)

from hybridopt.circuits import CircuitProgram, lower
from hybridopt.circuits.gates import KEPT_GATES
from hybridopt.circuits.lowering import decompose
from hybridopt.circuits.steps import Rotation
from hybridopt.errors import CircuitError
from tests.circuits.families import FAMILIES

A, B = Parameter("a"), Parameter("b")


def angles_of(program: CircuitProgram, values: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the row angles and the shared angles."""

    def numbers(expressions):
        bound = [e.bind({p: values[p] for p in e.parameters}) for e in expressions]
        return np.array([float(e) for e in bound])

    return numbers(program.row_expressions), numbers(program.shared_expressions)


def assert_same_state(program: CircuitProgram, values: dict, expected: Statevector) -> None:
    """Compare the states up to a global phase."""
    state = Statevector(program.bind(*angles_of(program, values)))
    assert abs(state.inner(expected)) == pytest.approx(1, abs=1e-12)


def one_gate(gate, *more: Parameter, num_qubits: int = 3) -> QuantumCircuit:
    """Return a circuit with a gate after others that make its phases visible."""
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(0.4 + 0.3 * qubit, qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.rz(0.3, range(num_qubits))
    for parameter in more:
        circuit.rx(parameter, 0)
    circuit.append(gate, range(gate.num_qubits))
    return circuit


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_lowered_circuits_of_each_family(family):
    """Both forms make the same state; the whole form never needs more settings."""
    rows, weights = family.samples(batch=1)
    values, state = family.values(rows[0], weights), family.state(rows[0], weights)
    settings = []
    for whole in (True, False):
        program = lower(family.circuit, family.inputs, family.weights, whole=whole)
        assert_same_state(program, values, state)
        fixed = {step.gate.name for step in program.steps if not isinstance(step, Rotation)}
        assert fixed <= KEPT_GATES
        tables = (True, program.row_expressions), (False, program.shared_expressions)
        for per_sample, expressions in tables:
            numbers = [r.angle for r in program.rotations if r.per_sample is per_sample]
            assert numbers == list(range(len(expressions)))
            for expression in expressions:
                assert bool(set(expression.parameters) & set(family.inputs)) is per_sample
        settings.append(sum(len(rule) for table in program.shifts for rule in table))
    assert settings[0] <= settings[1]


SHIFTS = [  # settings of the derivative: of the whole gate, of its decomposition
    (lib.RXGate(A), 2, 2),
    (lib.RXXGate(A), 2, 2),
    (lib.MCPhaseGate(A, 2), 2, 14),
    (lib.RYGate(A).control(1), 4, 4),
    (lib.XXPlusYYGate(A, 0.3), 4, 4),
    (lib.XXMinusYYGate(A), 4, 4),
    (lib.XXPlusYYGate(0.7, A), 4, 4),
    (lib.XXMinusYYGate(A, B), 8, 8),
    (lib.PauliEvolutionGate(SparsePauliOp("XYZ"), time=A), 2, 2),
]


@pytest.mark.parametrize(("gate", "whole", "parts"), SHIFTS, ids=lambda a: getattr(a, "name", None))
def test_settings_of_a_derivative(gate, whole, parts):
    circuit = one_gate(gate)
    for expected, flag in ((whole, True), (parts, False)):
        program = lower(circuit, (), list(circuit.parameters), whole=flag)
        assert sum(map(len, program.shifts[1])) == expected


NAMES = ["x", "u", "rx", "rxx", "cp", "unitary", "diagonal", "pauli", "mcx", "delay", "barrier",
         "measure", "reset", "initialize", "xx_plus_yy", "annotated"]  # fmt: skip


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_own_gate_may_have_any_name(name, free):
    own = QuantumCircuit(2, name=name)
    own.ry(A if free else 0.8, 0)
    own.cx(0, 1)
    own.rx(0.3, 1)
    circuit = one_gate(own.to_gate(), *(() if free else (A,)))
    program = lower(circuit, (), [A])
    assert_same_state(program, {A: 0.8}, Statevector(circuit.assign_parameters({A: 0.8})))


INNER = {
    "annotated": AnnotatedOperation(lib.RYGate(A), ControlModifier(1, 0)),
    "annotated twice": AnnotatedOperation(lib.RYGate(A), [ControlModifier(1), PowerModifier(2)]),
    "clifford": Clifford(random_clifford(2, seed=4)),
    "qft": lib.QFTGate(2),
}


@pytest.mark.parametrize("name", list(INNER))
def test_other_operations_inside_definitions_are_decomposed(name):
    inner = QuantumCircuit(2)
    inner.rx(A, 0)
    inner.append(INNER[name], [1, 0])
    middle = QuantumCircuit(3)
    middle.append(inner.to_instruction(), [2, 0])
    circuit = one_gate(middle.to_instruction())
    program = lower(circuit, (), [A])
    flat = one_gate(QuantumCircuit(3).to_gate())
    flat.rx(0.8, 2)
    operation = INNER[name]
    if isinstance(operation, AnnotatedOperation):
        base = Operator(lib.RYGate(0.8 if name == "annotated" else 1.6)).data
        zero, one = np.diag([1, 0]), np.diag([0, 1])
        open_control = np.kron(base, zero) + np.kron(np.eye(2), one)
        closed_control = np.kron(np.eye(2), zero) + np.kron(base, one)
        matrix = open_control if name == "annotated" else closed_control
    else:
        matrix = Operator(operation).data
    flat.unitary(matrix, [0, 2])
    assert_same_state(program, {A: 0.8}, Statevector(flat))


def test_qubits_are_numbered_in_the_order_of_the_circuit():
    family = next(f for f in FAMILIES if f.name == "controlled_rotations")
    circuit = QuantumCircuit(QuantumRegister(2, "late"), AncillaRegister(1, "early"))
    circuit.compose(family.circuit, inplace=True)
    program = lower(circuit, family.inputs, family.weights)
    (row,), weights = family.samples(batch=1)
    assert_same_state(program, family.values(row, weights), family.state(row, weights))


def test_inverse_of_a_kept_gate_is_decomposed():
    gate = lib.QFTGate(3).definition.to_gate().inverse()
    circuit = QuantumCircuit(3)
    for part, qubits in decompose(gate, (2, 0, 1)):
        assert part.name in KEPT_GATES
        circuit.append(part, qubits)
    expected = QuantumCircuit(3)
    expected.append(gate, [2, 0, 1])
    assert Operator(circuit).equiv(Operator(expected))


def refused(kind: str) -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    if kind == "initialize":
        circuit.h(1)
        circuit.initialize([0, 1], 1)
    circuit.rx(A, 1)
    if kind == "measure":
        circuit.measure(2, 0)
    elif kind == "if_else":
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(1)
    elif kind == "save_statevector":
        circuit.save_statevector()
    elif kind == "delay":
        circuit.delay(A, 1)
    elif kind == "reset":
        circuit.h(2)
        circuit.reset(2)
    return circuit


def defined_by_itself() -> Gate:
    gate = Gate("ouroboros", 1, [])
    gate.definition = QuantumCircuit(1)
    gate.definition.append(gate, [0])
    return gate


CHANNEL = Kraus([0.8 * np.eye(2), 0.6 * np.eye(2)]).to_instruction()
REFUSED = [  # name, qubits, part of the reason
    (refused("measure"), "`measure` on qubit 2", "remove_final_measurements"),
    (refused("reset"), "`reset` on qubit 2", "unitary"),
    (refused("initialize"), "`initialize` on qubit 1", "prepare_state"),
    (refused("if_else"), "`if_else` on qubits? .*", "classical"),
    (refused("save_statevector"), "`save_statevector` on qubits 0, 1, 2", "matrix"),
    (refused("delay"), "`delay` on qubit 1", "`a`.*shift rule"),
    (one_gate(CHANNEL, A), "`kraus` on qubit 0", "matrix"),
    (one_gate(Gate("mine", 2, [A])), "`mine` on qubits 0, 1", "`a`.*shift rule"),
    (one_gate(Instruction("mine", 1, 0, []), A), "`mine` on qubit 0", "matrix"),
    (one_gate(lib.HamiltonianGate(np.diag([1.0, -1.0]), A)), "`hamiltonian` on qubit 0", "Qiskit"),
    (
        one_gate(AnnotatedOperation(lib.RXGate(A), PowerModifier(0.5))),
        "`annotated` on qubit 0",
        "Qiskit",
    ),
    (
        one_gate(AnnotatedOperation(Gate("mine", 1, []), ControlModifier(1)), A),
        "`annotated` on qubits 0, 1",
        "Qiskit",
    ),
    (one_gate(defined_by_itself(), A), "`ouroboros` on qubit 0", "itself"),
    (one_gate(lib.RXGate(np.inf), A), "`rx` on qubit 0", "inf"),
    (one_gate(lib.UGate(0.1, np.nan, 0.2), A), "`u` on qubit 0", "nan"),
]


@pytest.mark.parametrize(("circuit", "where", "reason"), REFUSED, ids=[w for _, w, _ in REFUSED])
def test_instructions_without_a_derivative_are_rejected(circuit, where, reason):
    with pytest.raises(CircuitError, match=f"{where} .*{reason}"):
        lower(circuit, (), [A])


@pytest.mark.parametrize(
    ("inputs", "weights", "names"),
    [
        ([A], [], "neither .*: b. .*: a"),
        ([], [], "neither .*: a, b. .*: none"),
        ([A, B], [B], "twice: b"),
        ([A, B, A], [], "twice: a"),
        ([A, B], [Parameter("c")], "does not have: c. .* a, b"),
        ([A], [Parameter("b")], "does not have: b"),
        ([A, B], list(ParameterVector("v", 2)), r"does not have: v\[0\], v\[1\]"),
    ],
)
def test_wrong_parameters_are_rejected(inputs, weights, names):
    with pytest.raises(CircuitError, match=names):
        lower(one_gate(lib.RXGate(A * B)), inputs, weights)


def test_given_circuit_is_unchanged():
    family = next(f for f in FAMILIES if f.name == "annotated_gates")
    before = family.circuit.copy()
    lower(family.circuit, family.inputs, family.weights)
    assert family.circuit == before
