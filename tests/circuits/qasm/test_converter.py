"""Gates of files against the operators of Qiskit; rejected statements."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate, RYGate, RZZGate, SXGate, XXPlusYYGate
from qiskit.quantum_info import Operator

from hybridopt.circuits.qasm.reader import read_openqasm
from hybridopt.errors import CircuitError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
RYY = "gate ryy(t) a, b { sxdg a; sxdg b; cx a, b; rz(t) b; cx a, b; sx a; sx b; }\n"
SXDG = "gate sxdg a { s a; h a; s a; }\n"  # equal to SXDG up to a global phase
A, B, C = 0.3, -1.1, 2.2


def read(body: str) -> QuantumCircuit:
    return read_openqasm(HEAD + body, "test").circuit


def assert_same(body: str, expected: QuantumCircuit) -> None:
    assert Operator(read(body)).equiv(Operator(expected))


def test_angles_have_the_order_of_their_declaration():
    expected = QuantumCircuit(3)
    expected.rz(A, 1)
    expected.rx(B, 1)
    expected.ry(C, 1)
    gate = "gate g(zeta, p10, p9) a { rz(zeta) a; rx(p10) a; ry(p9) a; }\n"
    assert_same(f"{gate}qubit[3] q; g({A}, {B}, {C}) q[1];", expected)


def test_angles_may_have_the_names_of_inputs():
    body = (
        "input float x0; input float x1;\ngate g(x0, x1) a { rz(x0) a; rx(x0*x1) a; }\n"
        "qubit[3] q; g(x1, 2*x0) q[2];"
    )
    circuit, inputs, _ = read_openqasm(HEAD + body, "test")
    expected = QuantumCircuit(3)
    expected.rz(B, 2)
    expected.rx(B * 2 * A, 2)
    bound = circuit.assign_parameters(dict(zip(inputs, (A, B), strict=True)))
    assert Operator(bound).equiv(Operator(expected))


def test_gate_equal_to_that_of_qiskit_is_replaced():
    circuit = read(f"{SXDG}{RYY}qubit[3] q; ryy({A}) q[2], q[0]; sxdg q[1];")
    assert [item.operation.name for item in circuit.data] == ["ryy", "sxdg"]
    expected = QuantumCircuit(3)
    expected.ryy(A, 2, 0)
    expected.append(SXGate().inverse(), [1])
    assert Operator(circuit).equiv(Operator(expected))


@pytest.mark.parametrize("name", ["rzz", "u", "unitary", "mcx", "xx_plus_yy"])
def test_gate_different_from_that_of_qiskit_is_renamed(name):
    gate = f"gate {name}(t) a, b {{ rx(t) a; cx a, b; }}\n"
    circuit = read(f"{gate}qubit[3] q; {name}({A}) q[2], q[0];")
    assert circuit.data[0].operation.name == f"{name}_of_the_file"
    expected = QuantumCircuit(3)
    expected.rx(A, 2)
    expected.cx(2, 0)
    assert Operator(circuit).equiv(Operator(expected))


def test_phase_of_a_gate_matters_under_control():
    """SXDG of the file has another global phase; with a control, it becomes a phase gate."""
    base = QuantumCircuit(1)
    base.s(0)
    base.h(0)
    base.s(0)
    expected = QuantumCircuit(3)
    expected.append(base.to_gate().control(1, annotated=False), [2, 0])
    assert_same(f"{SXDG}qubit[3] q; ctrl @ sxdg q[2], q[0];", expected)
    inner = f"{SXDG}gate outer a {{ sxdg a; }}\nqubit[3] q; ctrl @ outer q[2], q[0];"
    assert_same(inner, expected)


def test_modifiers():
    expected = QuantumCircuit(3)
    expected.append(RYGate(A).control(2, ctrl_state=0b01, annotated=False), [0, 1, 2])
    expected.append(RXGate(-B), [1])
    expected.append(RZZGate(C).control(1, annotated=False), [1, 2, 0])
    expected.append(SXGate(), [0])
    rzz = "gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }\n"
    body = (
        f"ctrl @ negctrl @ ry({A}) q[0], q[1], q[2]; inv @ rx({B}) q[1];\n"
        f"ctrl @ rzz({C}) q[1], q[2], q[0]; pow(0.5) @ x q[0];"
    )
    assert_same(f"{rzz}qubit[3] q;\n{body}", expected)


def test_constants_aliases_and_hardware_qubits():
    expected = QuantumCircuit(3)
    expected.rz(np.pi / 4 * 3, 2)
    expected.cx(0, 2)
    body = (
        "const float quarter = pi/4; const int n = 3; qubit[n] q; let ends = q[{0, 2}];\n"
        "rz(quarter*n) q[n - 1]; cx ends[0], ends[1];"
    )
    assert_same(body, expected)
    assert_same("rz(pi/4*3) $2; cx $0, $2;", expected)


def test_exchange_gate_of_a_file_is_the_gate_of_qiskit():
    gate = QuantumCircuit(3)
    gate.append(XXPlusYYGate(A, B), [0, 2])
    body = (
        "gate xx_plus_yy(t, beta) a, b { rz(beta) a; sdg b; sx b; s b; s a; cx b, a; ry(-t/2) b;\n"
        "ry(-t/2) a; cx b, a; sdg a; sdg b; inv @ sx b; s b; rz(-beta) a; }\n"
        f"qubit[3] q; xx_plus_yy({A}, {B}) q[0], q[2];"
    )
    assert isinstance(read(body).data[0].operation, XXPlusYYGate)
    assert_same(body, gate)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("foo q[0];", "`foo`"),
        ("rzz(1) q[0], q[1];", "`rzz`"),
        ("cx q[0];", "`cx` .* 0 angles and 2 qubits .*0 and 1"),
        ("rz q[0];", "`rz` .* 1 angles and 1 qubits .*0 and 1"),
        ("rz(1, 2) q[0];", "`rz` .* 1 angles .*2 and 1"),
        ("U(1, 2) q[0];", "`U` .* 3 angles .*2 and 1"),
        ("ctrl @ h q[0];", "`h` .* 2 qubits .*0 and 1"),
        ("cx q[0], q[0];", "duplicate"),
        ("cx q[0], q[7];", "index"),
        ("h r;", "'r'"),
        ("q q[0];", "not a gate"),
        ("measure q;", "`measure`"),
        ("bit c; c = measure q[0];", "`measure`"),
        ("bit c = measure q[0];", "`measure`"),
        ("reset q[0];", "`reset`"),
        ("for int i in [0:2] { h q[i]; }", "`for`"),
        ("while (true) { h q[0]; }", "`while`"),
        ("if (true) { h q[0]; }", "`if`"),
        ("box { h q[0]; }", "`box`"),
        ("def f(qubit a) { h a; }", "`def`"),
        ("input float theta;", "`theta`.*save_circuit"),
        ("input int x0;", "`x0`"),
        ("input array[float, 3] x;", "`x`"),
        ("input float x1; input float x01;", "`x1`.*`x01`"),
        ("const float a = q;", "number"),
        ("qubit[100000000] r;", "1024.*100000000"),
        ("qubit[0] r;", "1024.*0"),
        ('include "mine.inc";', "non-stdgates"),
        ("pragma vendor", "Pragma"),
    ],
)
def test_bad_statements(statement, message):
    with pytest.raises(CircuitError, match=rf"^test, line 4, column \d+: .*{message}"):
        read(f"qubit[3] q;\n{statement}")
