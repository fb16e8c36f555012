"""Lowered circuits against the circuits they came from, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit_aer  # noqa: F401  # brings `save_statevector`
from qiskit import AncillaRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import AnnotatedOperation, Gate, Instruction, Parameter, ParameterVector
from qiskit.circuit.annotated_operation import ControlModifier, PowerModifier
from qiskit.circuit.library import (
    HamiltonianGate,
    MCPhaseGate,
    PauliEvolutionGate,
    QFTGate,
    RXGate,
    RXXGate,
    RYGate,
    XXMinusYYGate,
    XXPlusYYGate,
)
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
from hybridopt.circuits.program import Rotation
from hybridopt.errors import CircuitError, HybridOptError
from tests.circuits.families import FAMILIES

A, B = Parameter("a"), Parameter("b")


def angles_of(program: CircuitProgram, values: dict) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for the rows and the shared angles."""

    def numbers(expressions):
        bound = [e.bind({p: values[p] for p in e.parameters}) for e in expressions]
        return np.array([float(e) for e in bound])

    return numbers(program.row_expressions), numbers(program.shared_expressions)


def lowered_state(program: CircuitProgram, values: dict) -> Statevector:
    return Statevector(program.bind(*angles_of(program, values)))


def one_gate(gate, *more: Parameter, num_qubits: int = 3) -> QuantumCircuit:
    """A gate after others that make its phases visible."""
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


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_lowered_circuit_makes_the_same_state(family, whole):
    program = lower(family.circuit, family.inputs, family.weights, whole=whole)
    rows, weights = family.samples(batch=1)
    lowered = lowered_state(program, family.values(rows[0], weights))
    assert abs(lowered.inner(family.state(rows[0], weights))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_angles_are_numbered_once_each_by_who_brings_them(family, whole):
    program = lower(family.circuit, family.inputs, family.weights, whole=whole)
    for per_sample, expressions in (
        (True, program.row_expressions),
        (False, program.shared_expressions),
    ):
        numbers = [r.angle for r in program.rotations if r.per_sample is per_sample]
        assert numbers == list(range(len(expressions)))
        for expression in expressions:
            assert bool(set(expression.parameters) & set(family.inputs)) is per_sample


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_only_gates_that_simulators_know_are_left(family):
    program = lower(family.circuit, family.inputs, family.weights)
    fixed = {step.gate.name for step in program.steps if not isinstance(step, Rotation)}
    assert fixed <= KEPT_GATES


SHIFTS = [  # settings for the derivative: whole, and in the gates of hardware
    (RXGate(A), 2, 2),
    (RXXGate(A), 2, 2),
    (MCPhaseGate(A, 2), 2, 14),
    (RYGate(A).control(1), 4, 4),
    (XXPlusYYGate(A, 0.3), 4, 4),
    (XXMinusYYGate(A), 4, 4),
    (XXPlusYYGate(0.7, A), 4, 4),
    (XXMinusYYGate(A, B), 8, 8),
    (PauliEvolutionGate(SparsePauliOp("XYZ"), time=A), 2, 2),
]


@pytest.mark.parametrize(("gate", "whole", "parts"), SHIFTS, ids=lambda a: getattr(a, "name", None))
def test_settings_of_a_derivative(gate, whole, parts):
    circuit = one_gate(gate)
    for expected, flag in ((whole, True), (parts, False)):
        program = lower(circuit, (), list(circuit.parameters), whole=flag)
        assert sum(map(len, program.shifts[1])) == expected


@pytest.mark.parametrize("circuit", [f.circuit for f in FAMILIES], ids=[f.name for f in FAMILIES])
def test_whole_rules_never_cost_more_than_parts(circuit):
    settings = [
        sum(map(len, lower(circuit, (), list(circuit.parameters), whole=whole).shifts[1]))
        for whole in (True, False)
    ]
    assert settings[0] <= settings[1]


NAMES = ["x", "u", "rx", "rxx", "cp", "unitary", "diagonal", "pauli", "mcx", "delay", "barrier",
         "measure", "reset", "initialize", "xx_plus_yy", "annotated"]  # fmt: skip


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_gate_of_ones_own_may_have_any_name(name, free):
    own = QuantumCircuit(2, name=name)
    own.ry(A if free else 0.8, 0)
    own.cx(0, 1)
    own.rx(0.3, 1)
    circuit = one_gate(own.to_gate(), *(() if free else (A,)))
    program = lower(circuit, (), [A])
    state = Statevector(circuit.assign_parameters({A: 0.8}))
    assert abs(lowered_state(program, {A: 0.8}).inner(state)) == pytest.approx(1, abs=1e-12)


INNER = {
    "annotated": AnnotatedOperation(RYGate(A), ControlModifier(1, 0)),
    "annotated twice": AnnotatedOperation(RYGate(A), [ControlModifier(1), PowerModifier(2)]),
    "clifford": Clifford(random_clifford(2, seed=4)),
    "qft": QFTGate(2),
}


@pytest.mark.parametrize("name", list(INNER))
def test_what_is_no_gate_is_taken_apart_inside_definitions_too(name):
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
        base = Operator(RYGate(0.8 if name == "annotated" else 1.6)).data
        zero, one = np.diag([1, 0]), np.diag([0, 1])
        open_control = np.kron(base, zero) + np.kron(np.eye(2), one)
        closed_control = np.kron(np.eye(2), zero) + np.kron(base, one)
        matrix = open_control if name == "annotated" else closed_control
    else:
        matrix = Operator(operation).data
    flat.unitary(matrix, [0, 2])
    overlap = lowered_state(program, {A: 0.8}).inner(Statevector(flat))
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


def test_qubits_of_registers_count_in_the_order_of_the_circuit():
    family = next(f for f in FAMILIES if f.name == "controlled_rotations")
    circuit = QuantumCircuit(QuantumRegister(2, "late"), AncillaRegister(1, "early"))
    circuit.compose(family.circuit, inplace=True)
    program = lower(circuit, family.inputs, family.weights)
    rows, weights = family.samples(batch=1)
    lowered = lowered_state(program, family.values(rows[0], weights))
    assert abs(lowered.inner(family.state(rows[0], weights))) == pytest.approx(1, abs=1e-12)


def test_inverse_of_a_kept_gate_is_taken_apart():
    gate = QFTGate(3).definition.to_gate().inverse()
    circuit = QuantumCircuit(3)
    for part, qubits in decompose(gate, (2, 0, 1)):
        assert part.name in KEPT_GATES
        circuit.append(part, qubits)
    expected = QuantumCircuit(3)
    expected.append(gate, [2, 0, 1])
    assert Operator(circuit).equiv(Operator(expected))


def measured() -> QuantumCircuit:
    circuit = one_gate(RXGate(A))
    circuit.measure_all()
    return circuit


def with_branch() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    circuit.rx(A, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    return circuit


def with_saved_state() -> QuantumCircuit:
    circuit = one_gate(RXGate(A))
    circuit.save_statevector()
    return circuit


def with_delay() -> QuantumCircuit:
    circuit = one_gate(RXGate(0.2))
    circuit.delay(A, 1)
    return circuit


def defined_by_itself() -> QuantumCircuit:
    gate = Gate("ouroboros", 1, [])
    gate.definition = QuantumCircuit(1)
    gate.definition.append(gate, [0])
    return one_gate(gate, A)


def with_instruction(operation, *more: Parameter):
    return lambda: one_gate(operation, *more)


def with_reset() -> QuantumCircuit:
    circuit = one_gate(RXGate(A))
    circuit.reset(2)
    return circuit


def initialized() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.initialize([0, 1], 1)
    circuit.rx(A, 1)
    return circuit


CHANNEL = Kraus([0.8 * np.eye(2), 0.6 * np.eye(2)]).to_instruction()
REFUSED = [
    (measured, r"`measure` on qubit 0 has no unitary\. Take it out .*remove_final_measurements"),
    (with_reset, r"`reset` on qubit 2 has no unitary\. Use a fresh qubit"),
    (initialized, r"`initialize` on qubit 1 has no unitary\. .* use `circuit.prepare_state"),
    (with_branch, r"`if_else` on qubits? .* is classical control"),
    (with_saved_state, r"`save_statevector` on qubits 0, 1, 2 has neither a definition nor a mat"),
    (with_delay, r"`delay` on qubit 1 depends on `a` but has no shift rule\. Write it as rot"),
    (with_instruction(CHANNEL, A), r"`kraus` on qubit 0 has neither a definition nor a matrix"),
    (with_instruction(Gate("mine", 2, [A])), r"`mine` on qubits 0, 1 depends on `a` but has no sh"),
    (with_instruction(Instruction("mine", 1, 0, []), A), r"`mine` on qubit 0 has neither"),
    (
        with_instruction(HamiltonianGate(np.diag([1.0, -1.0]), A)),
        r"`hamiltonian` on qubit 0 cannot be taken apart by Qiskit: .*Write it as gates",
    ),
    (
        with_instruction(AnnotatedOperation(RXGate(A), PowerModifier(0.5))),
        r"`annotated` on qubit 0 cannot be taken apart by Qiskit: .*Write it as gates",
    ),
    (
        with_instruction(AnnotatedOperation(Gate("mine", 1, []), ControlModifier(1)), A),
        r"`annotated` on qubits 0, 1 cannot be taken apart by Qiskit",
    ),
    (defined_by_itself, r"`ouroboros` on qubit 0 is defined by itself"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=[m.split("`")[1] for _, m in REFUSED])
def test_what_has_no_derivative_is_refused_by_name(build, message):
    with pytest.raises(CircuitError, match=message) as caught:
        lower(build(), (), [A])
    assert isinstance(caught.value, HybridOptError | ValueError)


PARAMETERS = [
    ([A], [], "neither inputs nor weights: b. Name them in one of the lists, or bind them. Giv"),
    ([], [], "neither inputs nor weights: a, b. .* Given: none"),
    ([A, B], [B], "given twice: b"),
    ([A, B, A], [], "given twice: a"),
    ([A, B], [Parameter("c")], "does not have: c. It has a, b"),
    ([A], [Parameter("b")], "does not have: b. .*same name are different unless they are one obj"),
    ([A, B], list(ParameterVector("v", 2)), r"does not have: v\[0\], v\[1\]"),
]


@pytest.mark.parametrize(("inputs", "weights", "message"), PARAMETERS, ids=range(len(PARAMETERS)))
def test_parameters_that_are_not_the_circuits_are_refused(inputs, weights, message):
    with pytest.raises(CircuitError, match=message):
        lower(one_gate(RXGate(A * B)), inputs, weights)


def test_the_circuit_stays_as_it_was():
    family = next(f for f in FAMILIES if f.name == "annotated_gates")
    before = family.circuit.copy()
    lower(family.circuit, family.inputs, family.weights)
    assert family.circuit == before
