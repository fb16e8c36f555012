"""Angles: against numpy, in both versions of the language; indices; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.errors import CircuitError

from .programs import HEAD, HEAD_2, assert_refused, read, read_2

INPUTS = f"{HEAD}input float x0;\ninput angle[32] w0;\nqubit[3] q;\n"
X, W = 0.37, -1.21


def angle(expression: str) -> float:
    program = read(f"{INPUTS}rz({expression}) q[1];")
    bound = program.circuit.assign_parameters(dict(zip(program.parameters, (X, W), strict=True)))
    return float(bound.data[0].operation.params[0])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2*(pi - x0)*(pi - w0)", 2 * (np.pi - X) * (np.pi - W)),
        ("x0*w0/2 - x0/w0 + 0.25", X * W / 2 - X / W + 0.25),
        ("-x0**2", -(X**2)),
        ("-3*pi/4 + x0 - 2*-w0", -3 * np.pi / 4 + X + 2 * W),
        ("x0 - w0 - 1", X - W - 1),
        ("x0/w0/2.", X / W / 2),
        ("2**x0", 2**X),
        ("x0**-1", 1 / X),
        ("(x0 + 1)**(w0/2)", (X + 1) ** (W / 2)),
        ("sqrt(x0)", np.sqrt(X)),
        ("sin(x0) + cos(w0)*tan(x0)", np.sin(X) + np.cos(W) * np.tan(X)),
        ("arcsin(x0) - acos(x0) + arctan(w0)", np.arcsin(X) - np.arccos(X) + np.arctan(W)),
        ("exp(w0) + log(x0)", np.exp(W) + np.log(X)),
        ("abs(w0)*sign(w0)", W),
        ("sin(1) + sign(-2) + sign(0) + sqrt(4) + abs(-3)", np.sin(1) - 1 + 0 + 2 + 3),
        ("ceiling(1.2) + floor(-0.5) + mod(7, 4) + popcount(13) + power(2, 3)", 2 - 1 + 3 + 3 + 8),
        ("4/2 + 1.0/2 + 2**3", 10.5),
        ("7 % 4 + 1e-3 + .5 + 1E2", 103.501),
        ("0x10 + 0b11 + 0o7 + 1_000", 16 + 3 + 7 + 1000),
        ("tau/4 + euler", np.pi / 2 + np.e),
        ("π/2 + τ + ℇ", np.pi / 2 + 2 * np.pi + np.e),
        ("true + 1", 2),
        ("+".join(["x0"] * 2000), 2000 * X),
    ],
)
def test_values(expression, expected):
    assert angle(expression) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1/2", 0.5),
        ("-3*pi/4", -3 * np.pi / 4),
        ("2^3^0 - 2^-1", 1.5),
        ("sin(pi/6) + cos(1)*tan(0.3)", 0.5 + np.cos(1) * np.tan(0.3)),
        ("ln(2) + sqrt(2) + exp(0.5)", np.log(2) + np.sqrt(2) + np.exp(0.5)),
        ("asin(0.3) + acos(0.2) + atan(2)", np.arcsin(0.3) + np.arccos(0.2) + np.arctan(2)),
    ],
)
def test_values_of_openqasm_2(expression, expected):
    """By Qiskit's reader, and by the interpreter, which reads files that define cu1."""
    for definition in ("", "gate cu1(t) a, b { x a; }\n"):
        circuit = read_2(f"{definition}qreg q[3]; rz({expression}) q[1];")
        if "2^3^0" in expression and definition:
            continue  # the reference parser joins powers from the right
        assert circuit.data[0].operation.params[0] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("expression", "column", "word"),
    [
        ("1/2*x0", 4, "1/2 divides integers, which gives 0 in OpenQASM 3. Write 1.0/2"),
        ("x0 + 1/2", 9, "1/2 divides integers"),
        ("1/0", 4, "no value"),
        ("1.0/0", 4, "no value"),
        ("x0/0", 4, "no value"),
        ("arcsin(2)", 4, "no value"),
        ("sqrt(-1)", 4, "real"),
        ("9**9**9", 4, "no value"),
        ("1 << 99", 4, "64 bits"),
        ("1e999", 4, "must be finite (got inf)"),
        ("floor(x0)", 4, "no value"),
        ("foo(x0)", 4, "`foo` of 1 arguments is not defined. Available: abs"),
        ("sin(x0, w0)", 4, "`sin` of 2 arguments"),
        ("q", 4, "a number is needed here (got the qubits `q`)"),
        ("2*q", 6, "the qubits"),
        ("2*x7", 6, "`x7` is not defined"),
        ("~3", 4, "`~` needs bits"),
        ("x0 & 1", 4, "`&` needs integers"),
        ("x0 > 1", 4, "must not depend on inputs"),
        ("2ns", 4, "a number is needed"),
        ("2ns*x0", 4, "`*` is not defined for these durations"),
        ("2im", 4, "`ImaginaryLiteral`"),
        ("durationof({x q[0];})", 4, "`DurationOf`"),
        ("sizeof(x0)", 4, "`sizeof`"),
        ("x0[1]", 4, "an index needs"),
    ],
)
def test_refused(expression, column, word):
    assert_refused(f"{INPUTS}rz({expression}) q[1];", (6, column), word)


@pytest.mark.parametrize(
    ("chosen", "qubits"),
    [("q", [0, 1, 2]), ("q[1]", [1]), ("q[-1]", [2]), ("q[0:-1]", [0, 1, 2]), ("q[0:1]", [0, 1]),
     ("q[2:-1:0]", [2, 1, 0]), ("q[:]", [0, 1, 2]), ("q[0:2:2]", [0, 2]), ("q[{2, 0}]", [2, 0]),
     ("q[1:2][0]", [1])],
)  # fmt: skip
def test_ranges(chosen, qubits):
    circuit = read(f"{INPUTS}h {chosen};").circuit
    assert [circuit.find_bit(item.qubits[0]).index for item in circuit.data] == qubits


@pytest.mark.parametrize(
    ("chosen", "column", "word"),
    [("q[1:5]", 5, "range"), ("q[2:1]", 5, "range"), ("q[3:3]", 5, "range"),
     ("q[0:0:2]", 5, "step"), ("q[x0:2]", 5, "integer"), ("q[0:1.5]", 7, "integer")],
)  # fmt: skip
def test_ranges_refused(chosen, column, word):
    assert_refused(f"{INPUTS}h {chosen};", (6, column), word)


def test_bits_of_openqasm_2_start_at_0():
    text = f"{HEAD_2}qreg q[3]; creg c[2];\nif (c == 0) rx(0.3) q[1];\nif (c == 1) x q[0];"
    assert [item.operation.name for item in read(text).circuit.data] == ["rx"]


@pytest.mark.parametrize(
    ("declared", "expression", "expected"),
    [
        ("int a = -7;", "a % 2", -1),  # the sign of the left operand, as in C
        ("int a = 7;", "a % -2", 1),
        ("float a = -7.5;", "mod(a, 2)", -1.5),
        ("int a = -7;", "int(a / 2)", -3),  # truncated, not rounded down
        ("int a = 5; int b = a / 2;", "b", 2),
        ("int a = 1; a = 9 / 2;", "a", 4),
        ("int[4] a = 7; a += 1;", "a", -8),
        ("uint[3] a = 9;", "a", 1),
        ("uint[3] a = 7; uint[5] b = 2;", "a + b", 9),
    ],
)
def test_integers_of_declared_sizes(declared, expression, expected):
    circuit = read(f"{HEAD}qubit[3] q; {declared} rz({expression}) q[1];").circuit
    assert circuit.data[0].operation.params == [expected]


def test_quotients_in_indices_are_truncated():
    circuit = read(f"{HEAD}qubit[3] q; const int n = 3; x q[n/2]; y q[(n+2)/2];").circuit
    assert [circuit.find_bit(item.qubits[0]).index for item in circuit.data] == [1, 2]


@pytest.mark.parametrize(("size", "operation"), [(1, "a + b"), (2, "a - b - b"), (3, "a << b")])
def test_overflow_of_declared_sizes_is_refused(size, operation):
    values = {1: (1, 1), 2: (1, 3), 3: (7, 3)}[size]
    declared = f"uint[{size}] a = {values[0]}; uint[{size}] b = {values[1]};"
    with pytest.raises(CircuitError, match="declared size"):
        read(f"{HEAD}qubit[3] q; {declared} rz({operation}) q[1];")


def test_words_of_openqasm_3_are_named_in_errors():
    with pytest.raises(CircuitError, match="`qubit`"):
        read(f"{HEAD_2}qubit q;")
