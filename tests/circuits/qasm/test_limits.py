"""Files that would take much time or memory are refused, also for Qiskit's reader."""

from __future__ import annotations

import pytest
from qiskit.quantum_info import Operator

from hybridopt.circuits.qasm.reader import SourceText, read_openqasm
from hybridopt.errors import CircuitError

HEADS = {2: 'OPENQASM 2.0;\ninclude "qelib1.inc";\n', 3: 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'}


def read(version: int, text: str):
    return read_openqasm(SourceText(HEADS[version] + text, "file.qasm"))


def nested(count: int, angle: str) -> str:
    gates = [f"gate g{k}(t) a {{ g{k - 1}({angle}) a; }}\n" for k in range(1, count)]
    return "gate g0(t) a { rx(t) a; }\n" + "".join(gates) + f"g{count - 1}(0.1) q[0];\n"


@pytest.mark.parametrize(
    ("version", "text", "message"),
    [
        (2, "qreg q[100000000];\nh q[0];", "1 to 1024 qubits"),
        (2, "qreg q[1];\ncreg c[1000000000];\nh q[0];", "65536 bits"),
        (2, "".join(f"qreg q{k}[1];\n" for k in range(2100)), "2048 qubits"),
        (3, "".join(f"qubit[1000] q{k};\n" for k in range(500)), "line 5, .*2048 qubits"),
        (2, "qreg q[1024];\n" + "h q;\n" * 260, "more than 50,000 steps"),
        (3, "qubit[1024] q;\n" + "h q;\n" * 120, "more than 50,000 steps"),
        (2, "qreg q[1];\n" + nested(3000, "t"), "nested too deeply"),
        (3, "qubit[1] q;\n" + nested(30, "t*t+t"), "10,000 names"),
        (3, "input float w;\nfloat a = w;\nqubit q;\n" + "a = a*a + a;\n" * 40, "10,000 names"),
        (
            3,
            "qubit q;\ngate g0 a { }\n"
            + "".join(f"gate g{k} a {{ g{k - 1} a; g{k - 1} a; }}\n" for k in range(1, 25))
            + "g24 q;",
            "more than 1,000,000 operations",
        ),
        (3, "qubit q;\nrx(" + "9" * 10_000 + ") q;", "digits"),
    ],
)
def test_large_files_are_refused(version, text, message):
    with pytest.raises(CircuitError, match=rf"file\.qasm.*{message}"):
        read(version, text)


def test_repeated_controls_are_those_of_one_modifier():
    text = "input float w;\nqubit[6] q;\n"
    places = ", ".join(f"q[{place}]" for place in range(6))
    for several, one in [
        ("ctrl @ ctrl @ ctrl @ ctrl @ ctrl @ rx(w)", "ctrl(5) @ rx(w)"),
        ("ctrl @ negctrl(2) @ ctrl @ ctrl @ rx(w)", "x q[1]; x q[2]; ctrl(5) @ rx(w)"),
        ("negctrl @ ctrl(3) @ negctrl @ ctrl @ gphase(w)", "x q[0]; x q[4]; ctrl(6) @ gphase(w)"),
    ]:
        before, _, gate = one.rpartition("; ")
        flips = f"{before};" if before else ""
        found = read(3, f"{text}{several} {places};").circuit
        expected = read(3, f"{text}{flips} {gate} {places}; {flips}").circuit
        values = dict.fromkeys(found.parameters, 0.7)
        same = dict.fromkeys(expected.parameters, 0.7)
        assert Operator(found.assign_parameters(values)) == Operator(
            expected.assign_parameters(same)
        )


@pytest.mark.parametrize("version", [2, 3])
def test_files_below_the_limits_are_read(version):
    register = "qreg q[40];\n" if version == 2 else "qubit[40] q;\n"
    circuit = read(version, register + " " * 100_000 + nested(20, "t") + "h q;\n" * 50).circuit
    assert (circuit.num_qubits, circuit.size()) == (40, 2001)


def test_many_statements_are_read_in_parts():
    text = "".join(f"qubit q{k};\nif (true) h q{k};\nelse x q{k};\n" for k in range(150))
    circuit = read(3, text).circuit
    assert (circuit.num_qubits, circuit.count_ops()) == (150, {"h": 150})


def test_names_with_many_digits_are_in_order():
    names = ["w" + "9" * 5000, "w" + "1" + "0" * 5000, "w10", "w2", "w002"]
    text = "".join(f"input float {name};\n" for name in names) + "qubit q;\n"
    parameters = read(3, text).parameters
    assert [parameter.name for parameter in parameters] == names
