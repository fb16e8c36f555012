"""Both versions of the language, files as other tools write them, errors and their places."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.circuit import ParameterVector
from qiskit.circuit import library as lib

from hybridopt.errors import CircuitError

from .programs import HEAD, HEAD_2, assert_refused, bound, is_same, measured_places, read

GALLERY = sorted((Path(__file__).parents[3] / "circuits").glob("*.qasm"))
PIECES = [
    *"[](){};,.*/+-=@#\"'0129xwq \n$%^&|<>~!?:\\é\t\0", "measure", "input", "gate", "ctrl @ ",
    "pow(2) @", "float", "qubit", "for", "if", "let", "def", "U", "bit", "1e999", "->", "cal",
    "switch", "10ns", "input float x0;", "q[0:", "OPENQASM 2;",
]  # fmt: skip


def expected_of(*gates: tuple[str, tuple[float, ...], tuple[int, ...]], width: int = 3):
    circuit = QuantumCircuit(width)
    for name, angles, qubits in gates:
        getattr(circuit, name)(*angles, *qubits)
    return circuit


CIRQ = """// Generated from Cirq v1.3.0

OPENQASM 2.0;
include "qelib1.inc";


// Qubits: [q(0), q(1), q(2)]
qreg q[3];
creg m_a[2];
creg m_b[1];


h q[0];
rx(pi*0.25) q[1];
// Gate: CZ**0.5
crz(pi*0.5) q[0],q[1];
u3(pi*0.5,pi*1.25,pi*0.75) q[2];
sx q[0];
sxdg q[1];

// Gate: cirq.MeasurementGate(2, cirq.MeasurementKey(name='a'))
measure q[2] -> m_a[0];
measure q[0] -> m_a[1];

measure q[1] -> m_b[0];
"""
PYTKET = """OPENQASM 2.0;
include "hqslib1.inc";

qreg q[3];
creg c[3];
gate zzphase_twice(param0) q0, q1 {
RZZ(param0) q0, q1;
RZZ(param0) q0, q1;
}
U1q(0.5*pi, 1.5*pi) q[0];
rz(0.25*pi) q[0];
ZZ q[0], q[2];
RZZ(0.3*pi) q[1],q[2];
zzphase_twice(0.1*pi) q[2], q[1];
barrier q[0],q[1],q[2];
measure q[0] -> c[0];
measure q[1] -> c[1];
measure q[2] -> c[2];
"""
PROJECTQ = """OPENQASM 2.0;
include "qelib1.inc";
qreg q0[1];
qreg q1[1];
qreg q2[1];
creg c2[1];
h q0[0];
cx q0[0], q1[0];
u3(0.3,-pi/2,pi/2) q2[0];
cu1(0.785398163397) q1[0],q2[0];
crz(0.2) q0[0],q2[0];
measure q2[0] -> c2[0];
"""
OLD_QISKIT = """OPENQASM 2.0;
include "qelib1.inc";
gate rzz(theta) a,b { cx a,b; u1(2*theta) b; cx a,b; }
qreg input[3];
creg ans[3];
u2(0,pi) input[0];
u0(1) input[1];
u1(pi/8) input[1];
cu1(pi/4) input[0],input[2];
cu3(0.1,0.2,0.3) input[1],input[0];
rzz(0.3) input[1],input[2];
ch input[0],input[2];
c3x input[0],input[1],input[2],input[0];
measure input -> ans;
"""
BRAKET = """OPENQASM 3.0;
bit[3] b;
qubit[3] q;
input float theta;
#pragma braket verbatim
box{
rx(theta) q[0];
}
cnot q[0], q[1];
cphaseshift(0.15) q[2], q[0];
xx(0.25) q[1], q[2];
ctrl @ v q[0], q[2];
iswap q[0], q[1];
gpi2(0.3) q[1];
b[0] = measure q[0];
b[1] = measure q[1];
b[2] = measure q[2];
"""
QUARTER = np.pi / 4


def test_cirq():
    program = read(CIRQ)
    gates = (
        ("h", (), (0,)), ("rx", (QUARTER,), (1,)), ("crz", (2 * QUARTER,), (0, 1)),
        ("u", (2 * QUARTER, 5 * QUARTER, 3 * QUARTER), (2,)), ("sx", (), (0,)), ("sxdg", (), (1,)),
    )  # fmt: skip
    assert is_same(program.circuit, expected_of(*gates))
    assert measured_places(program) == [2, 0, 1]


def test_pytket():
    program = read(PYTKET)
    gates = (
        ("r", (2 * QUARTER, 6 * QUARTER), (0,)), ("rz", (QUARTER,), (0,)),
        ("rzz", (2 * QUARTER,), (0, 2)), ("rzz", (0.3 * np.pi,), (1, 2)),
        ("rzz", (0.2 * np.pi,), (1, 2)),
    )  # fmt: skip
    assert is_same(program.circuit, expected_of(*gates))
    assert measured_places(program) == [0, 1, 2]


def test_projectq():
    program = read(PROJECTQ)
    gates = (
        ("h", (), (0,)), ("cx", (), (0, 1)), ("rx", (0.3,), (2,)),
        ("cp", (0.785398163397,), (1, 2)), ("crz", (0.2,), (0, 2)),
    )  # fmt: skip
    assert is_same(program.circuit, expected_of(*gates))
    assert measured_places(program) == [2]


def test_old_qiskit():
    """Its own rzz, by an angle that Qiskit's rzz has twice; a register with a new reserved word."""
    text = OLD_QISKIT.replace("c3x input[0],input[1],input[2],input[0];\n", "")
    program = read(text)
    expected = expected_of(("h", (), (0,)), ("p", (np.pi / 8,), (1,)), ("cp", (QUARTER,), (0, 2)))
    expected.append(lib.CU3Gate(0.1, 0.2, 0.3), [1, 0])
    expected.rzz(0.6, 1, 2)
    expected.ch(0, 2)
    assert is_same(program.circuit, expected)
    assert measured_places(program) == [0, 1, 2]
    assert_refused(OLD_QISKIT, (13, 1), "`c3x` must act on different qubits")


def test_braket():
    program = read(BRAKET)
    expected = expected_of(("rx", (0.4,), (0,)), ("cx", (), (0, 1)), ("cp", (0.15,), (2, 0)))
    expected.rxx(0.25, 1, 2)
    expected.csx(0, 2)
    expected.iswap(0, 1)
    expected.r(2 * QUARTER, 0.3, 1)
    assert is_same(bound(program.circuit, 0.4), expected)
    assert measured_places(program) == [0, 1, 2]
    assert program.notes == ["Pragma `braket verbatim` was ignored."]


def test_what_qiskit_writes_in_openqasm_3():
    """Elements of vectors are `_x_0_` there; gates of all kinds."""
    w = ParameterVector("w", 12)
    circuit = QuantumCircuit(3)
    circuit.compose(lib.zz_feature_map(3, reps=1), inplace=True)
    circuit.compose(lib.efficient_su2(3, reps=1).assign_parameters(w), inplace=True)
    circuit.append(lib.RXGate(0.3).control(2, ctrl_state=1, annotated=False), [2, 0, 1])
    circuit.append(lib.QFTGate(3), [2, 0, 1])
    circuit.measure_all()
    program = read(qasm3.dumps(circuit))
    names = [p.name for p in program.parameters]
    assert sorted(names) == sorted([f"_w_{k}_" for k in range(12)] + [f"_x_{k}_" for k in range(3)])
    values = {name: 0.1 + 0.3 * k for k, name in enumerate(names)}
    first = program.circuit.assign_parameters({p: values[p.name] for p in program.parameters})
    circuit.remove_final_measurements()
    shown = {p: values[f"_{p.name[0]}_{p.name[2:-1]}_"] for p in circuit.parameters}
    assert is_same(first, circuit.assign_parameters(shown))
    assert measured_places(program) == [0, 1, 2]


def test_what_qiskit_writes_in_openqasm_2():
    circuit = QuantumCircuit(4)
    circuit.rzz(0.3, 3, 1)
    circuit.append(lib.XXPlusYYGate(0.2, 0.5), [2, 0])
    circuit.append(lib.QFTGate(3), [2, 0, 3])
    circuit.mcp(0.7, [0, 1, 3], 2)
    circuit.ecr(0, 2)
    circuit.unitary(lib.RYYGate(0.4).to_matrix(), [1, 2])
    assert is_same(read(qasm2.dumps(circuit)).circuit, circuit)


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("h q[0]\ncx q[0], q[1];", (5, 1), "unexpected `cx`. Perhaps a `;` is missing"),
        ("h q[0]; rz(pi q[0];", (4, 15), "unexpected `q`."),
        ("  h q[0", (4, 8), "ends within a statement"),
        ("h q[0];\n  # no comment", (5, 3), "is not a symbol"),
        ("h q[0];\n\n  h r[1];", (6, 5), "`r` is not defined"),
        ("/* two\nlines */ foo q;", (5, 10), "`foo`"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_places_of_errors(text, place, word, version, capfd):
    head = (
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\n'
        if version == 2
        else f"{HEAD}qubit[3] q;\n"
    )
    assert_refused(head + text, place, word)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "column", "word"),
    [
        ("measure q[0] -> c[0]; x q[0];", 23, "`x` follows the measurement of `q[0]`"),
        ("measure q[0] -> c[0]; if (c == 1) x q[1];", 27, "`c` holds the outcome"),
        ("h q[0]; reset q[0];", 9, "`reset` of `q[0]`"),
        ("cx q[0];", 1, "`cx` takes"),
        ("rx q[0];", 1, "`rx` takes 1 angle"),
        ("cx q[1], q[1];", 1, "`cx` must act on different qubits"),
        ("rx(1/0) q[1];", 4, "no value"),
        ("measure q -> d;", 14, "`d`"),
        ("foo q[1];", 1, "`foo` is opaque"),
        ("bar q[1];", 1, "`bar` is not defined"),
        ("qreg q[2];", 6, "`q` is declared twice"),
        ("h q[5];", 5, "below 3 (got 5)"),
        ("gate g a { g a; } g q[0];", 12, "`g`"),
    ],
)
def test_refused_in_openqasm_2(line, column, word):
    assert_refused(f"{HEAD_2}opaque foo(a)\nb; qreg q[3]; creg c[2];\n{line}", (5, column), word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no statements"),
        (" \n// nothing\n/* OPENQASM 3; */", "no statements"),
        ("OPENQASM 3.0;", "no qubits"),
        ("OPENQASM 2.0;", "no qubits"),
        ("// OPENQASM 3.0;\nOPENQASM 4.0;\nqubit q;", "line 2, column 1: OpenQASM 4.0 is"),
        ("OPENQASM 1.0;", "line 1, column 1: OpenQASM 1.0 is"),
        (f"OPENQASM 2.{'9' * 30}; qreg q[3];", "line 1, column 1: OpenQASM 2.9"),
        (f"{HEAD}qubit q; rz({'(' * 3000}1{')' * 3000}) q;", "nested too deeply"),
        (f"{HEAD}qubit q; rz({'-' * 3000}1) q;", "nested too deeply"),
        ("\x00\x01\x02", "line 1, column 1"),
        ("hello world", "line 1"),
        (f"{HEAD}qubit q; rz({'9' * 10_000}) q;", "test cannot be read: "),
        (f"{HEAD_2}qreg q[{'9' * 10_000}];", "test cannot be read: "),
    ],
)  # fmt: skip
def test_refused_texts(text, word):
    with pytest.raises(CircuitError, match=word):
        read(text)


def test_the_version_follows_from_the_library():
    circuit = read('include "qelib1.inc"; qreg q[3]; rx(1/2) q[1];').circuit
    assert is_same(circuit, expected_of(("rx", (0.5,), (1,))))


def test_gates_need_no_include():
    assert is_same(read("qubit[3] q; cx q[2], q[0];").circuit, expected_of(("cx", (), (2, 0))))


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}{' ' * 10_000_000}\nqubit[3] q; cx q[2], q[0];",
        HEAD + "\n" * 3_000_000 + "qubit[3] q; cx q[2], q[0];",
        HEAD_2 + "//" + "{" * 5_000_000 + "\nqreg q[3]; cx q[2], q[0];",
        HEAD + "".join(f"bit[3] c{k};" for k in range(800)) + "qubit[3] q; cx q[2], q[0];",
        f"{HEAD}qubit[23] q; qubit a; ctrl(20) @ u(0.1, 0.2, 0.3) q[0:19], q[20];",
        f"{HEAD}qubit[3] q; ctrl(10000000000000000000000) @ x q[0];",
        f"{HEAD}qubit q; while (true) {{ }}",
        f"{HEAD}qubit q; pow(100000000000) @ x q;",
        f"{HEAD}qubit[3] q; rx(0.1) {' ' * 10_000_000} q[0]; foo q[1];",
        f"{HEAD}qubit[20] q; for int i in [0:1000000] {{ h q; }}",
        f"{HEAD}qubit q; pow(1e300) @ x q;",
        f"{HEAD}qubit q; int k = 1; while (true) {{ k *= k + 1; }}",
        HEAD_2 + "".join(f"qreg q{k}[1];" for k in range(5000)) + "x q4999[0];",
        HEAD_2 + "qreg q[3];" + "h q[0];" * 30_000,
    ],
    ids=range(14),
)  # fmt: skip
def test_strange_texts_are_read_or_refused_in_time(text):
    started = time.process_time()
    with suppress(CircuitError):
        read(text)
    assert time.process_time() - started < 60  # without limits, some would not end


@pytest.mark.parametrize("version", [2, 3])
def test_more_gates_than_levels_of_recursion(version):
    dice = random.Random(1)
    lines = ["qreg q[8];" if version == 2 else "qubit[8] q;"]
    for k in range(1_200):
        a, b = dice.sample(range(8), 2)
        lines.append(
            (f"rz({dice.random()}) q[{a}];", f"cx q[{a}],q[{b}];", f"ry(pi/{k + 1}.0) q[{b}];")[
                k % 3
            ]
        )
    text = (HEAD_2 if version == 2 else HEAD) + "\n".join(lines)
    assert read(text).circuit.size() == 1_200


def test_damaged_files_are_read_or_refused(capfd):
    """A hundred and fifty files with letters lost and added never raise a foreign error."""
    dice = random.Random(5)
    refused = 0
    texts = [path.read_text("utf-8") for path in GALLERY] + [CIRQ, PYTKET, OLD_QISKIT, BRAKET]
    for _ in range(150):
        text = dice.choice(texts)
        for _ in range(dice.randint(1, 3)):
            place, lost = dice.randrange(len(text)), dice.choice([0, 0, 1, 3, 10])
            text = text[:place] + dice.choice([*PIECES, ""]) + text[place + lost :]
        try:
            read(text)
        except CircuitError as error:
            refused += "line" in str(error)
    assert refused > 60
    assert capfd.readouterr() == ("", "")
