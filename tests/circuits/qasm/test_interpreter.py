"""Statements of OpenQASM 3, against circuits made by hand; refusals with their places."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit

from .programs import HEAD, HEAD_2, assert_refused, bound, is_same, measured_places, read, read_3

# statements on `qubit[3] q;` and the same gates as (name, angles, qubits)
PROGRAMS = {
    "const": (
        "const int n = 3; const float a = pi/4; const uint k = n - 1; rx(a*n) q[k];",
        [("rx", [2.356194490192345], [2])],
    ),
    "variables": (
        "int k = 1; float a = 0.3; a += 0.4; a *= k + 1; k <<= 1; rz(a) q[k]; k -= 2; ry(k) q[k];",
        [("rz", [1.4], [2]), ("ry", [0.0], [0])],
    ),
    "unsigned": ("uint[3] k = 9; int j = 7; j %= 4; rx(k) q[k]; ry(j) q[0];",
                 [("rx", [1.0], [1]), ("ry", [3.0], [0])]),
    "floats": ("float a = 1; const float b = 3; rx(a/2) q[0]; ry(b/2) q[1];\n"
               "def f(float t) -> float { return t/4; } rz(f(1)) q[2];",
               [("rx", [0.5], [0]), ("ry", [1.5], [1]), ("rz", [0.25], [2])]),
    "casts": ("int k = 2; rx(float(k)/4) q[int(2.9)]; bool b = bool(k); if (b) x q[0];",
              [("rx", [0.5], [2]), ("x", [], [0])]),
    "for over a range": (
        "for int i in [0:2] { rx(0.1*i) q[i]; }",
        [("rx", [0.0], [0]), ("rx", [0.1], [1]), ("rx", [0.2], [2])],
    ),
    "for with a step": ("for uint i in [2:-2:0] rz(i + 0.5) q[i];",
                        [("rz", [2.5], [2]), ("rz", [0.5], [0])]),
    "for over an empty range": ("for int i in [2:1] x q[i]; y q[1];", [("y", [], [1])]),
    "for over a set": ("for int i in {2, 0} { ry(i + 1) q[i]; }",
                       [("ry", [3.0], [2]), ("ry", [1.0], [0])]),
    "for over an array": (
        "array[float[64], 3] a = {0.1, -0.2, 0.3}; for float v in a rx(v) q[1];",
        [("rx", [0.1], [1]), ("rx", [-0.2], [1]), ("rx", [0.3], [1])],
    ),
    "for over bits": ('bit[3] m = "110"; int k = 0; for bit b in m { if (b) x q[k]; k += 1; }',
                      [("x", [], [1]), ("x", [], [2])]),
    "while": (
        "int k = 0; while (k < 5) { k += 1; if (k == 2) continue; if (k == 4) break; rx(k) q[0]; }",
        [("rx", [1.0], [0]), ("rx", [3.0], [0])],
    ),
    "if and else": (
        "const int n = 2; if (n > 1 && !(n == 3)) { x q[0]; } else { y q[0]; }\n"
        "if (n != 2 || false) z q[1]; else if (n <= 2) h q[1]; else s q[1];",
        [("x", [], [0]), ("h", [], [1])],
    ),
    "switch": (
        "int k = 2; switch (k) { case 0, 1 { x q[0]; } case 2 { y q[1]; } default { z q[2]; } }\n"
        "switch (7) { case 0 { x q[0]; } default { z q[2]; } } switch (7) { case 1 { x q[0]; } }",
        [("y", [], [1]), ("z", [], [2])],
    ),
    "box and block": ("box[100ns] { int k = 1; rx(0.3) q[k]; } { int k = 2; ry(0.4) q[k]; }",
                      [("rx", [0.3], [1]), ("ry", [0.4], [2])]),
    "inner names hide outer ones": (
        "int k = 0; for int i in [0:0] { int k = 2; x q[k]; } { k = 1; } y q[k];",
        [("x", [], [2]), ("y", [], [1])],
    ),
    "alias": ("let r = q[1:2]; let last = r[-1]; rx(0.3) r[0]; ry(0.4) last;",
              [("rx", [0.3], [1]), ("ry", [0.4], [2])]),
    "concatenation": ("let r = q[2] ++ q[0:1]; cx r[0], r[1]; rz(0.2) r[2];",
                      [("cx", [], [2, 0]), ("rz", [0.2], [1])]),
    "set of indices": ("let r = q[{2, 0}]; cx r[0], r[1];", [("cx", [], [2, 0])]),
    "broadcast": ("qubit[3] r; qubit s; cx q, r; cry(0.3) s, r;",
                  [("cx", [], [0, 3]), ("cx", [], [1, 4]), ("cx", [], [2, 5]),
                   ("cry", [0.3], [6, 3]), ("cry", [0.3], [6, 4]), ("cry", [0.3], [6, 5])]),
    "arrays": (
        "array[int, 2, 2] m = {{0, 1}, {2, 1}}; m[0][1] = 2; m[1, 1] += 4;\n"
        "rx(m[1][1]) q[m[0, 1]]; ry(sizeof(m)) q[0]; rz(sizeof(m, 1)) q[1];",
        [("rx", [5.0], [2]), ("ry", [2.0], [0]), ("rz", [2.0], [1])],
    ),
    "arrays without values": ("array[int, 2, 2] m; m[1][0] = 2; m[0][0] = 1;\n"
                              "x q[m[1][0] - m[0, 0]];",
                              [("x", [], [1])]),
    "unused extern": ("extern f(int) -> int; x q[1];", [("x", [], [1])]),
    "bit strings": (
        'bit[3] m = "011"; m[2] = 1; m[0] = 0; if (m == "110") x q[1]; int k = m; rx(k) q[2];\n'
        'bit[2] lower = m[0:1]; if (lower == 2) y q[0]; if (~m == 1) z q[0];',
        [("x", [], [1]), ("rx", [6.0], [2]), ("y", [], [0]), ("z", [], [0])],
    ),
    "bits of an integer": ("uint[4] n = 5; for int i in [0:2] { if (bool(n[i])) x q[i]; }",
                           [("x", [], [0]), ("x", [], [2])]),
    "bitwise operators": ("int k = (6 & 3) | (1 << 2) ^ 1; rx(k >> 1) q[0];", [("rx", [3.0], [0])]),
    "subroutine": (
        "def pair(qubit a, qubit[2] b, float t) { rx(t) a; cx a, b[1]; }\n"
        "pair(q[2], q[0:1], 0.3); pair(q[0], q[{2, 1}], 2*0.3);",
        [("rx", [0.3], [2]), ("cx", [], [2, 1]), ("rx", [0.6], [0]), ("cx", [], [0, 1])],
    ),
    "return value": (
        "const float unit = 0.1; def angle_of(int k) -> float { if (k > 1) { return unit*k; }\n"
        "return 7; } rx(angle_of(3)) q[0]; ry(angle_of(1) - 6) q[1];",
        [("rx", [0.3], [0]), ("ry", [1.0], [1])],
    ),
    "recursion": ("def f(int n) -> int { if (n < 2) { return 1; } return n*f(n - 1); }\n"
                  "rx(f(4)) q[1];",
                  [("rx", [24.0], [1])]),
    "arguments are copies": ("int k = 1; def f(int n) { n += 1; x q[n]; } f(k); y q[k];",
                             [("x", [], [2]), ("y", [], [1])]),
    "array arguments": (
        "array[float, 2] a = {0.1, 0.2}; def f(mutable array[float, #dim = 1] b) { b[1] = 0.7; }\n"
        "f(a); rx(a[1]) q[0];",
        [("rx", [0.7], [0])],
    ),
    "output": ("output float r; r = 0.5; rx(r) q[0];", [("rx", [0.5], [0])]),
    "end": ("x q[0]; end; y q[0];", [("x", [], [0])]),
    "reset of fresh qubits": ("reset q; reset q[1]; x q[1];", [("x", [], [1])]),
    "durations": ("duration d = 100ns; delay[2*d - 50ns] q[1]; if (d < 1us && d/2 == 50ns) x q[0];",
                  [("x", [], [0])]),
    "annotation": ("@reversible\nx q[0]; @note a; b {\nrx(0.1) q[1];",
                   [("x", [], [0]), ("rx", [0.1], [1])]),
    "defcalgrammar": ('defcalgrammar "openpulse"; x q[0];', [("x", [], [0])]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_statements(name):
    body, gates = PROGRAMS[name]
    circuit = read_3(f"qubit[3] q;\n{body}")
    expected = QuantumCircuit(circuit.num_qubits)
    for gate, angles, qubits in gates:
        getattr(expected, gate)(*angles, *qubits)
    assert is_same(circuit, expected)
    kept = [item for item in circuit.data if item.operation.name not in {"barrier", "delay"}]
    assert len(kept) == len(gates)


def test_inputs():
    """Inputs are angles of gates, of subroutines and of expressions; also elements of arrays."""
    body = (
        "input float a; input angle[32] b; input array[float[64], 2] v; qubit[3] q;\n"
        "def turn(qubit t, angle x) { rx(2*x) t; } float both = a*b; rz(both) q[0];\n"
        "turn(q[1], b);\n"
        "ry(v[1] - v[0]) q[2];"
    )
    program = read(HEAD + body)
    assert [p.name for p in program.parameters] == ["a", "b", "v[0]", "v[1]"]
    expected = QuantumCircuit(3)
    expected.rz(0.3 * -0.7, 0)
    expected.rx(-1.4, 1)
    expected.ry(0.4 - 1.9, 2)
    assert is_same(bound(program.circuit, 0.3, -0.7, 1.9, 0.4), expected)


def test_inputs_of_no_gate_are_parameters_of_the_circuit():
    program = read(f"{HEAD}input float a; input float b; qubit[3] q; rx(b) q[1];")
    assert {p.name for p in program.circuit.parameters} == {"a", "b"}
    expected = QuantumCircuit(3)
    expected.rx(0.4, 1)
    assert is_same(bound(program.circuit, 9.0, 0.4), expected)


def test_physical_qubits_are_in_the_order_of_their_numbers():
    circuit = read_3("rx(0.3) $7; cx $7, $0; ry(0.4) $2; reset $3;")
    expected = QuantumCircuit(4)
    expected.rx(0.3, 3)
    expected.cx(3, 0)
    expected.ry(0.4, 1)
    assert is_same(circuit, expected)


def test_barriers_and_delays_stay():
    circuit = read_3("qubit[3] q; barrier q[2], q[0]; delay[30dt] q[1]; barrier; delay[1.5us] q;")
    assert [item.operation.name for item in circuit.data] == [
        "barrier",
        "delay",
        "barrier",
        *["delay"] * 3,
    ]
    places = [[circuit.find_bit(q).index for q in item.qubits] for item in circuit.data]
    assert places == [[2, 0], [1], [0, 1, 2], [0], [1], [2]]
    delays = [item.operation for item in circuit.data if item.operation.name == "delay"]
    assert [(d.duration, d.unit) for d in delays] == [(30, "dt"), *[(1.5, "us")] * 3]


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ("bit[3] c; c = measure q;", [0, 1, 2]),
        ("bit[3] c; c[0] = measure q[2]; c[2] = measure q[0];", [2, 0]),
        ("bit[2] c; bit d; d = measure q[0]; c = measure q[{2, 1}];", [2, 1, 0]),
        ("measure q[1]; measure q[0];", [1, 0]),
        ("bit c = measure q[1];", [1]),
        ("bit[2] c; c[0] = measure q[0]; c[0] = measure q[2];", [2]),
        ("output bit[2] c; c[1] = measure q[0]; c[0] = measure q[1];", [1, 0]),
        ("def m(qubit a) -> bit { bit r; r = measure a; return r; } bit[2] c; c[1] = m(q[2]);"
         "c[0] = m(q[1]);", [1, 2]),
        ("def m(qubit a) -> bit { return measure a; } bit c; c = m(q[2]);", [2]),
        ("bit[3] c; barrier q; c = measure q; barrier q; delay[1ns] q; x r;", [0, 1, 2]),
        ("bit[2] c; bit[2] d; c = measure q[0:1]; d = c;", [0, 1, 0, 1]),
        ("x q[0];", None),
    ],
)  # fmt: skip
def test_measured_qubits_are_in_the_order_of_their_bits(body, places):
    program = read(f"{HEAD}qubit[3] q; qubit[2] r; {body}")
    assert measured_places(program) == places
    assert not any(item.operation.name == "measure" for item in program.circuit.data)


def test_included_files(tmp_path):
    (tmp_path / "inner.inc").write_text("gate turn(t) a { ry(t) a; }\n", "utf-8")
    (tmp_path / "mine.inc").write_text('include "inner.inc"; const float angle_0 = 0.3;', "utf-8")
    text = f'{HEAD}include "mine.inc";\nqubit[3] q; turn(2*angle_0) q[1];'
    expected = QuantumCircuit(3)
    expected.ry(0.6, 1)
    assert is_same(read(text, tmp_path).circuit, expected)
    text_2 = f'{HEAD_2}include "inner.inc";\nqreg q[3]; turn(6/10) q[1];'
    assert is_same(read(text_2, tmp_path).circuit, expected)


def test_included_files_that_are_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside.inc").write_text("gate g a { x a; }", "utf-8")
    (inside / "link.inc").symlink_to(tmp_path / "outside.inc")
    (inside / "self.inc").write_text('include "self.inc";', "utf-8")
    (inside / "twice.inc").write_text('include "twice.inc"; include "twice.inc";', "utf-8")
    (inside / "large.inc").write_bytes(b" " * (2**20 + 1))
    (inside / "bytes.inc").write_bytes(b"\xff\xfe")
    for name, word in {
        "../outside.inc": "must be in the folder",
        str(tmp_path / "outside.inc"): "must be in the folder",
        "link.inc": "must be in the folder",
        "absent.inc": "cannot be read",
        "bytes.inc": "cannot be read",
        "large.inc": "at most 1048576 bytes",
    }.items():  # fmt: skip
        assert_refused(f'{HEAD}\ninclude "{name}"; qubit[3] q;', (4, 1), word, inside)
        assert_refused(f'{HEAD_2}\ninclude "{name}"; qreg q[3];', (4, 1), word, inside)
    assert_refused(f'{HEAD}include "mine.inc"; qubit[3] q;', (3, 1), "`mine.inc`")
    for name in ("self.inc", "twice.inc"):
        with pytest.raises(Exception, match="nested more than 64 deep"):
            read(f'{HEAD}include "{name}"; qubit[3] q;', inside)


def test_errors_in_included_files_name_these(tmp_path):
    (tmp_path / "mine.inc").write_text("gate g a {\n  foo a;\n}", "utf-8")
    with pytest.raises(Exception, match=r"mine\.inc, line 2, column 3: Gate `foo`"):
        read(f'{HEAD}include "mine.inc"; qubit[3] q;', tmp_path)


def test_pragmas_are_ignored_with_a_note():
    body = (
        "#pragma braket verbatim\nbox { x q[0]; }\npragma braket result state_vector; {\ny q[1];\n"
    )
    program = read(f"{HEAD}qubit[3] q;\n{body}")
    assert program.notes == [
        "Pragma `braket verbatim` was ignored.",
        "Pragma `braket result state_vector; {` was ignored.",
    ]
    expected = QuantumCircuit(3)
    expected.x(0)
    expected.y(1)
    assert is_same(program.circuit, expected)


@pytest.mark.parametrize(
    ("line", "column", "word"),
    [
        ("  h r;", 5, "`r` is not defined"),
        ("h q[7];", 5, "below 3 (got 7)"),
        ("h q[{0, 3}];", 9, "below 3 (got 3)"),
        ("h q[1:5];", 5, "within the 3 elements"),
        ("foo q[0];", 1, "`foo`"),
        ("q q[0];", 1, "`q`"),
        ("cx q[0];", 1, "`cx` takes 0 angles and 2 qubits (got 0 angles and 1 qubit)"),
        ("rz q[0];", 1, "`rz` takes 1 angle"),
        ("rz(1, 2) q[0];", 1, "(got 2 angles and 1 qubit)"),
        ("ctrl @ h q[0];", 1, "`h` takes 0 angles and 2 qubits"),
        ("cx q[0], q[0];", 1, "`cx` must act on different qubits"),
        ("qubit[2] r; cx q, r;", 13, "one size (got [2, 3])"),
        ("bit[3] c; h c;", 13, "qubits are needed"),
        ("rx(q[0]) q[1];", 4, "`q[0]`"),
        ("rx(c0) q[1];", 4, "`c0` is not defined"),
        ("bit c; c = measure q[0]; x q[0];", 26, "`x` follows the measurement of `q[0]`"),
        ("measure $4; h $4;", 13, "`h` follows the measurement of `$4`"),
        ("bit c; c = measure q[0]; if (c) x q[1];", 30, "`c` holds the outcome"),
        ("bit[2] c; c[0] = measure q[0]; if (c[0] == 1) x q[1];", 36, "`c[0]` holds the outcome"),
        ("bit[2] c; c[0] = measure q[0]; bit d = c[0]; rx(d) q[1];", 49, "`d` holds the outcome"),
        ("bit c; while (c) x q[1];", 15, "`c` is read before it has a value"),
        ("x q[0]; reset q[0];", 9, "`reset` of `q[0]`"),
        ("measure q[0]; reset q[0];", 15, "`reset` of `q[0]`"),
        ("input float a; if (a > 1) x q[0];", 20, "must not depend on inputs"),
        ("input float a; int k = a;", 16, "must be a float or an angle"),
        ("input float a; h q[a];", 20, "an integer is needed"),
        ("input int n;", 1, "`n` must be a float or an angle"),
        ("input array[float, 0] v;", 1, "`v` must have 1 to"),
        ("int k; rx(k) q[0];", 11, "`k` has no value"),
        ("const int k = 1; k = 2;", 18, "`k` is not a variable"),
        ("k = 2;", 1, "`k` is not defined"),
        ("int k = 1; float k = 2;", 18, "`k` is declared twice"),
        ("int q = 1;", 5, "`q` is declared twice"),
        ("qubit q;", 7, "`q` is declared twice"),
        ("qubit[100000000] r;", 1, "1 to 1024 qubits (got 100000000)"),
        ("qubit[0] r;", 1, "1 to 1024 qubits (got 0)"),
        ("bit[100000000] c;", 16, "at most 65536 bits"),
        ("bit[2] c; c = 0.5;", 11, "a bit must be 0, 1"),
        ("bit[2] c; bit[3] d; d = measure q; c = d;", 36, "2 bits cannot hold 3"),
        ("array[int, 3] a = {1, 2};", 1, "3 elements"),
        ("array[int, 2] a = {1, 2}; a[2] = 3;", 29, "below 2 (got 2)"),
        ("array[int, 2] a = {1, 2}; a[0:1] = 3;", 27, "only single elements"),
        ("for int i in [0:0:3] x q[0];", 15, "step of a range must not be 0"),
        ("for int i in [0:99999999] x q[0];", 15, "at most 1048576 integers"),
        ("for int i in 3 x q[0];", 14, "a loop needs"),
        ("stretch s;", 1, "`s`"),
        ("delay[3] q[0];", 1, "`delay`"),
        ("delay[-3ns] q[0];", 1, "`delay`"),
        ("duration d = 3;", 1, "duration"),
        ("duration d = 3ns + 2dt;", 14, "cannot be combined"),
        ("extern f(int) -> int; rx(f(1)) q[0];", 26, "`extern` function `f`"),
        ("array[int, 3] a; rx(a[1]) q[0];", 21, "a number is needed"),
        ("array[int, 1000, 1000] a;", 1, "at most 65536 elements"),
        ("defcal x $0 { }", 1, "`defcal`"),
        ("cal { }", 1, "`cal`"),
        ("complex[float] z = 1;", 1, "complex"),
        ("#pragma braket unitary([[1, 0], [0, 1]]) q[0]", 1, "`braket unitary"),
        ("#pragma braket noise bit_flip(0.2) q[0]", 1, "`braket noise"),
        ("def f(qubit a) { h a; } f(q[0], q[1]);", 25, "`f` takes 1 arguments (got 2)"),
        ("def f(qubit[2] a) { h a; } f(q);", 30, "`a` must be 2 qubits"),
        pytest.param(
            "def f(int n) { f(n + 1); } f(0);", 16, "64 deep", marks=pytest.mark.wrong_types
        ),  # run-time checks take more stack frames
        ("gate g a { x a; } gate g a { y a; }", 19, "`g` is defined twice"),
        ("gate g a { x q[0]; } g q[0];", 12, "`x` must act on qubits of the defined gate"),
        ("gate g a { x $0; }", 14, "`$0`"),
        ("gate g a { foo a; }", 12, "`foo`"),
        ("ctrl(0) @ x q[0];", 1, "at least 1 (got 0)"),
        ("ctrl(40) @ x q[0];", 1, "at most 32 controls (got 40)"),
        ("input float a; pow(a) @ x q[0];", 16, "`pow` must be a number"),
        ("input float a; pow(0.5) @ ry(a) q[0]; pow(0.5) @ u(a, 0, 0) q[0];", 39, "no power 0.5"),
        ("gphase(1) q[0];", 1, "`gphase` takes 0 qubits here (got 1)"),
        ("let a = q ++ 1;", 9, "`++`"),
        ("bit[40000] a; bit[40000] b; let c = a ++ b;", 37, "65536 elements"),
        ("return 1;", 1, "return"),
        ("break;", 1, "break"),
        ("for int i in [0:2] { include \"a.inc\"; }", 22, "include"),
    ],
)  # fmt: skip
def test_refused(line, column, word):
    assert_refused(f"{HEAD}qubit[3] q;\n{line}", (4, column), word)
