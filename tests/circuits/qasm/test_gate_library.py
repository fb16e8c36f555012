"""Gates by name: those of other tools against their matrices, those of a file, modifiers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit import library as lib
from qiskit.quantum_info import Operator

import hybridopt as ho
from hybridopt.circuits import lower

from .programs import HEAD, HEAD_2, bound, is_same, read, read_2, read_3

RYY = "gate ryy(t) a, b { sxdg a; sxdg b; cx a, b; rz(t) b; cx a, b; sx a; sx b; }\n"
SXDG = "gate sxdg a { s a; h a; s a; }\n"  # but for a global phase
G = "gate g(s, t) a, b { rx(s) a; cry(t) a, b; p(s*t) b; }\n"
A, B, C = 0.3, -1.1, 2.2


def phase(*angles: float) -> np.ndarray:
    return np.diag(np.exp(1j * np.array(angles)))


def gpi(t: float) -> np.ndarray:
    return np.array([[0, np.exp(-1j * t)], [np.exp(1j * t), 0]])


def gpi2(t: float) -> np.ndarray:
    return np.array([[1, -1j * np.exp(-1j * t)], [-1j * np.exp(1j * t), 1]]) / np.sqrt(2)


def ms(s: float, t: float, u: float) -> np.ndarray:
    """exp(-i u/2 A x B), Braket's and IonQ's partially entangling gate; first qubit first."""
    product = np.kron(gpi(s), gpi(t))
    return np.cos(u / 2) * np.eye(4) - 1j * np.sin(u / 2) * product


def xy(t: float) -> np.ndarray:
    result = np.eye(4, dtype=complex)
    result[1:3, 1:3] = [[np.cos(t / 2), 1j * np.sin(t / 2)], [1j * np.sin(t / 2), np.cos(t / 2)]]
    return result


def pswap(t: float) -> np.ndarray:
    result = np.eye(4, dtype=complex)
    result[1:3, 1:3] = [[0, np.exp(1j * t)], [np.exp(1j * t), 0]]
    return result


def pauli_rotation(*terms: tuple[float, str]) -> np.ndarray:
    """Product of exp(-i t/2 P) of commuting Pauli words."""
    result = np.eye(4, dtype=complex)
    for t, letters in terms:
        word = Operator.from_label(letters).data
        result = result @ (np.cos(t / 2) * np.eye(4) - 1j * np.sin(t / 2) * word)
    return result


X, I2 = np.array([[0, 1], [1, 0]]), np.eye(2)
V = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
MATRICES = {  # of gates with the first operand as the most significant qubit
    "i": I2, "si": phase(0, -np.pi / 2), "ti": phase(0, -np.pi / 4), "v": V, "vi": V.conj().T,
    f"phase({A})": phase(0, A), f"phaseshift({A})": phase(0, A), "sxdg": V.conj().T,
    f"prx({A}, {B})": None, f"gpi({A})": gpi(A), f"gpi2({A})": gpi2(A), f"U1q({A}, {B})": None,
    f"Rz({A})": phase(-A / 2, A / 2), f"U({A}, {B}, {C})": None, "u0(1)": I2,
    "cnot": np.kron(np.diag([1, 0]), I2) + np.kron(np.diag([0, 1]), X),
    "cv": np.kron(np.diag([1, 0]), I2) + np.kron(np.diag([0, 1]), V),
    f"cphase({A})": phase(0, 0, 0, A), f"cphaseshift({A})": phase(0, 0, 0, A),
    f"cu1({A})": phase(0, 0, 0, A),
    f"cphaseshift00({A})": phase(A, 0, 0, 0), f"cphaseshift01({A})": phase(0, A, 0, 0),
    f"cphaseshift10({A})": phase(0, 0, A, 0), f"xx({A})": pauli_rotation((A, "XX")),
    f"yy({A})": pauli_rotation((A, "YY")), f"zz({A})": pauli_rotation((A, "ZZ")),
    f"xy({A})": xy(A), f"pswap({A})": pswap(A), f"ms({A}, {B}, {C})": ms(A, B, C),
    "ZZ": pauli_rotation((np.pi / 2, "ZZ")), f"RZZ({A})": pauli_rotation((A, "ZZ")),
    f"Rxxyyzz({A}, {B}, {C})": pauli_rotation((A, "XX"), (B, "YY"), (C, "ZZ")),
    "toffoli": None, "ccnot": None, "fredkin": None,
}  # fmt: skip
MATRICES[f"prx({A}, {B})"] = MATRICES[f"U1q({A}, {B})"] = (
    phase(0, B) @ (np.cos(A / 2) * I2 - 1j * np.sin(A / 2) * X) @ phase(0, -B)
)
MATRICES[f"U({A}, {B}, {C})"] = np.array(
    [
        [np.cos(A / 2), -np.exp(1j * C) * np.sin(A / 2)],
        [np.exp(1j * B) * np.sin(A / 2), np.exp(1j * (B + C)) * np.cos(A / 2)],
    ]
)
MATRICES["toffoli"] = MATRICES["ccnot"] = np.eye(8)[[0, 1, 2, 3, 4, 5, 7, 6]]
MATRICES["fredkin"] = np.eye(8)[[0, 1, 2, 3, 4, 6, 5, 7]]


@pytest.mark.parametrize("gate", MATRICES)
def test_gates_of_other_tools(gate):
    matrix = MATRICES[gate]
    width = int(np.log2(len(matrix)))
    operands = ["q[2]", "q[0]", "q[1]"][:width]
    expected = QuantumCircuit(3)
    expected.unitary(matrix, [2, 0, 1][:width][::-1])  # Qiskit's first qubit is the least
    assert is_same(read_3(f"qubit[3] q; {gate} {', '.join(operands)};"), expected)


def test_angles_are_in_the_order_of_declaration():
    expected = QuantumCircuit(3)
    expected.rz(A, 1)
    expected.rx(B, 1)
    expected.ry(C, 1)
    gate = "gate g(zeta, p10, p9) a { rz(zeta) a; rx(p10) a; ry(p9) a; }\n"
    assert is_same(read_3(f"{gate}qubit[3] q; g({A}, {B}, {C}) q[1];"), expected)


def test_angles_may_have_the_names_of_inputs():
    body = (
        "input float x0; input float x1;\ngate g(x0, x1) a { rz(x0) a; rx(x0*x1) a; }\n"
        "qubit[3] q; g(x1, 2*x0) q[2];"
    )
    expected = QuantumCircuit(3)
    expected.rz(B, 2)
    expected.rx(B * 2 * A, 2)
    assert is_same(bound(read_3(body), A, B), expected)


def test_a_gate_that_equals_qiskits_is_qiskits():
    circuit = read_3(f"{SXDG}{RYY}qubit[3] q; ryy({A}) q[2], q[0]; sxdg q[1];")
    assert [item.operation.name for item in circuit.data] == ["ryy", "sxdg"]
    expected = QuantumCircuit(3)
    expected.ryy(A, 2, 0)
    expected.append(lib.SXdgGate(), [1])
    assert is_same(circuit, expected)


@pytest.mark.parametrize("name", ["rzz", "u", "unitary", "mcx", "xx_plus_yy", "cu1", "cnot"])
@pytest.mark.parametrize("reader", [read_2, read_3])
def test_the_definition_of_the_file_wins(name, reader):
    gate = f"gate {name}(t) a, b {{ rx(t) a; cx a, b; }}\n"
    register = "qreg q[3];" if reader is read_2 else "qubit[3] q;"
    circuit = reader(f"{gate}{register} {name}({A}) q[2], q[0];")
    expected = QuantumCircuit(3)
    expected.rx(A, 2)
    expected.cx(2, 0)
    assert is_same(circuit, expected)
    lower(circuit)
    known = lib.get_standard_gate_name_mapping().get(circuit.data[0].operation.name)
    assert known is None or known.base_class is type(circuit.data[0].operation)


def test_the_phase_of_a_gate_counts_under_control():
    """SXDG of the file is sqrt(X)^dagger times a phase; controlled, that is a phase gate."""
    base = QuantumCircuit(1)
    base.s(0)
    base.h(0)
    base.s(0)
    expected = QuantumCircuit(3)
    expected.append(base.to_gate().control(1, annotated=False), [2, 0])
    assert is_same(read_3(f"{SXDG}qubit[3] q; ctrl @ sxdg q[2], q[0];"), expected)
    inner = f"{SXDG}gate outer a {{ sxdg a; }}\nqubit[3] q; ctrl @ outer q[2], q[0];"
    assert is_same(read_3(inner), expected)


def dense(matrix: np.ndarray, controls: str) -> np.ndarray:
    """A controlled matrix; the first control is the most significant qubit, '0' is open."""
    for control in reversed(controls):
        on, off = np.diag([0, 1]), np.diag([1, 0])
        if control == "0":
            on, off = off, on
        matrix = np.kron(on, matrix) + np.kron(off, np.eye(len(matrix)))
    return matrix


def of(gate) -> np.ndarray:
    """Matrix with the first qubit as the most significant."""
    return Operator(gate).reverse_qargs().data


def of_g() -> np.ndarray:
    circuit = QuantumCircuit(2)
    circuit.rx(A, 0)
    circuit.cry(B, 0, 1)
    circuit.p(A * B, 1)
    return of(circuit)


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    return Operator(matrix).power(exponent).data


MODIFIED = {
    f"ctrl @ ry({A})": lambda: dense(of(lib.RYGate(A)), "1"),
    f"negctrl @ ry({A})": lambda: dense(of(lib.RYGate(A)), "0"),
    f"ctrl @ negctrl @ ry({A})": lambda: dense(of(lib.RYGate(A)), "10"),
    f"negctrl @ ctrl @ rx({A})": lambda: dense(of(lib.RXGate(A)), "01"),
    f"ctrl(3) @ p({A})": lambda: dense(of(lib.PhaseGate(A)), "111"),
    f"negctrl(2) @ ctrl @ u({A}, {B}, {C})": lambda: dense(of(lib.UGate(A, B, C)), "001"),
    f"ctrl @ rzz({C})": lambda: dense(of(lib.RZZGate(C)), "1"),
    f"inv @ rx({B})": lambda: of(lib.RXGate(-B)),
    f"ctrl @ inv @ u({A}, {B}, {C})": lambda: dense(of(lib.UGate(A, B, C)).conj().T, "1"),
    f"inv @ ctrl @ g({A}, {B})": lambda: dense(of_g(), "1").conj().T,
    f"ctrl @ pow(2) @ inv @ g({A}, {B})": lambda: dense(power(of_g(), 2).conj().T, "1"),
    f"pow(-3) @ negctrl @ g({A}, {B})": lambda: power(dense(of_g(), "0"), 3).conj().T,
    f"pow(0) @ g({A}, {B})": lambda: np.eye(4),
    f"pow(0.5) @ g({A}, {B})": lambda: power(of_g(), 0.5),
    f"ctrl @ pow(0.5) @ g({A}, {B})": lambda: dense(power(of_g(), 0.5), "1"),
    "pow(0.5) @ x": lambda: power(of(lib.XGate()), 0.5),
    "ctrl @ pow(1.0/3) @ x": lambda: dense(power(of(lib.XGate()), 1 / 3), "1"),
    f"pow(1.5) @ rx({A})": lambda: of(lib.RXGate(1.5 * A)),
    f"pow(3) @ u({A}, {B}, {C})": lambda: power(of(lib.UGate(A, B, C)), 3),
    f"pow(2) @ crx({A})": lambda: of(lib.CRXGate(2 * A)),
    "pow(3) @ ccx": lambda: of(lib.CCXGate()),
    f"gphase({A})": lambda: np.eye(1) * np.exp(1j * A),
    f"ctrl @ gphase({A})": lambda: phase(0, A),
    f"negctrl @ gphase({A})": lambda: phase(A, 0),
    f"ctrl @ negctrl @ gphase({A})": lambda: phase(0, 0, A, 0),
    f"negctrl(2) @ inv @ gphase({A})": lambda: phase(-A, 0, 0, 0),
    f"ctrl(2) @ pow(2) @ gphase({A})": lambda: phase(0, 0, 0, 2 * A),
}


@pytest.mark.parametrize("gate", MODIFIED)
@pytest.mark.parametrize("in_gate", [False, True], ids=["outside", "in a gate"])
def test_modifiers(gate, in_gate):
    """Up to a global phase; inside a gate that is controlled, with the phase."""
    matrix = MODIFIED[gate]()
    places = [3, 0, 2, 1][: int(np.log2(len(matrix)))]
    operands = ", ".join(f"q[{place}]" for place in places)
    definition, statement = "", f"{gate} {operands};"
    if in_gate:
        places = places or [1]  # a gate has a qubit
        names = ", ".join(f"a{place}" for place in places)
        inner = statement.replace("q[", "a").replace("]", "")
        definition = f"gate outer {names} {{ {inner} }}\n"
        statement = f"ctrl @ outer q[4], {', '.join(f'q[{place}]' for place in places)};"
        matrix = dense(matrix if operands else matrix[0, 0] * np.eye(2), "1")
        places = [4, *places]
    expected = QuantumCircuit(5)
    if places:
        expected.unitary(matrix, places[::-1])
    circuit = read_3(f"{G}{definition}qubit[5] q; {statement}")
    assert is_same(circuit, expected)
    lower(circuit)


def test_modifiers_keep_angles_free():
    body = (
        f"{G}input float a; input float b; qubit[3] q; ctrl @ g(a, b) q[2], q[0], q[1];\n"
        "pow(2) @ inv @ g(b, a) q[1], q[2]; pow(3) @ u(a, b, 0.1) q[0]; negctrl @ gphase(a) q[1];\n"
        "gphase(b);"
    )
    numbers = body.replace(
        "input float a; input float b;", f"const float a = {A}; const float b = {B};"
    )
    assert is_same(bound(read_3(body), A, B), read_3(numbers))


def test_the_exchange_of_a_file_keeps_its_few_settings():
    gate = QuantumCircuit(3)
    gate.append(lib.XXPlusYYGate(A, B), [0, 2])
    body = (
        "gate xx_plus_yy(t, beta) a, b { rz(beta) a; sdg b; sx b; s b; s a; cx b, a; ry(-t/2) b;\n"
        "ry(-t/2) a; cx b, a; sdg a; sdg b; inv @ sx b; s b; rz(-beta) a; }\n"
        f"qubit[3] q; xx_plus_yy({A}, {B}) q[0], q[2];"
    )
    assert isinstance(read_3(body).data[0].operation, lib.XXPlusYYGate)
    assert is_same(read_3(body), gate)


def file_gates() -> QuantumCircuit:
    return read(
        f"{HEAD}{G}gate h2(t) a, b {{ g(t, {C}) b, a; }}\ninput float w0; input float w1;\n"
        f"qubit[3] q; g(w0, {B}) q[0], q[2]; h2(w1) q[1], q[0]; g({C}, w0*w1) q[2], q[1];\n"
        f"ctrl @ g(w1, {A}) q[1], q[0], q[2]; inv @ g(w0, w0) q[0], q[1];\n"
        "pow(2) @ h2(w0) q[1], q[2];"
    ).circuit


def test_copies():
    circuit = file_gates()
    expected = Operator(bound(circuit, A, B))
    for copied in (pickle.loads(pickle.dumps(circuit)), copy.deepcopy(circuit), circuit.copy()):
        assert copied == circuit
        assert np.allclose(Operator(bound(copied, A, B)).data, expected.data, rtol=0, atol=1e-12)
        assert bound(copied, A, B).inverse().inverse() == bound(circuit, A, B)


def test_networks_of_such_gates_are_saved(tmp_path):
    circuit = file_gates()
    parameters = sorted(circuit.parameters, key=lambda p: p.name)
    layer = ho.CircuitLayer(circuit, [], parameters, ["ZII", "IXZ"], initial=[A, B])
    loaded = ho.load(ho.save(layer, tmp_path / "a.ho"))
    path = ho.save_circuit(tmp_path / "a.qasm", circuit, [], parameters, ["ZII", "IXZ"])
    again = ho.CircuitLayer(*ho.load_circuit(path), initial=[A, B])
    x = torch.zeros(1, 0)
    torch.testing.assert_close(loaded(x), layer(x), rtol=0, atol=0)
    torch.testing.assert_close(again(x), layer(x), rtol=0, atol=1e-6)


def test_angles_of_copies_are_independent():
    circuit = read_3(f"{G}input float a; qubit[3] q; qubit[3] r; g(a, {B}) q, r;")
    first, second = bound(circuit, A), bound(circuit, C)
    assert not is_same(first, second)
    assert [item.operation.params[0] for item in first.data] == [A] * 3


@pytest.mark.parametrize("head", [HEAD, HEAD_2])
def test_nested_definitions_do_not_explode(head):
    register = "qubit[3] q;" if head == HEAD else "qreg q[3];"
    doubling = "".join(f"gate g{k + 1} a {{ g{k} a; g{k} a; }}\n" for k in range(60))
    text = f"{head}gate g0 a {{ rx(0.1) a; }}\n{doubling}{register}\n"
    assert read(text + "g8 q[1];").circuit.size() == 1
    with pytest.raises(ho.errors.CircuitError, match=r"line 65, column 1: .*1,000,000 operations"):
        read(text + "g60 q[1];")
    if head == HEAD:
        with pytest.raises(ho.errors.CircuitError, match="`ctrl` needs a gate of at most 2000"):
            read(text + "ctrl @ g12 q[1], q[2];")
        with pytest.raises(ho.errors.CircuitError, match="1,000,000 operations"):
            read(text + "pow(1000) @ g12 q[1];")


def test_parameters_of_a_gate_are_formal():
    gate = read_3(f"{G}qubit[3] q; g({A}, {B}) q[0], q[2];").data[0].operation
    assert not any(isinstance(angle, Parameter) for angle in gate.params)
    assert not gate.definition.parameters
