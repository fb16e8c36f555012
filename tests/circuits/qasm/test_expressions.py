"""Angles against numpy; rejected expressions and ranges."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.circuits.qasm.reader import read_openqasm
from hybridopt.errors import CircuitError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float x0;\ninput angle[32] w0;\nqubit[3] q;\n'
X, W = 0.37, -1.21


def angle(expression: str) -> float:
    circuit, inputs, weights = read_openqasm(f"{HEAD}rz({expression}) q[1];", "test")
    bound = circuit.assign_parameters(dict(zip((*inputs, *weights), (X, W), strict=True)))
    return float(bound.data[0].operation.params[0])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2*(pi - x0)*(pi - w0)", 2 * (np.pi - X) * (np.pi - W)),
        ("x0*w0/2 - x0/w0 + 0.25", X * W / 2 - X / W + 0.25),
        ("-x0**2", -(X**2)),
        ("2**x0", 2**X),
        ("x0**-1", 1 / X),
        ("(x0 + 1)**(w0/2)", (X + 1) ** (W / 2)),
        ("sqrt(x0)", np.sqrt(X)),
        ("sin(x0) + cos(w0)*tan(x0)", np.sin(X) + np.cos(W) * np.tan(X)),
        ("arcsin(x0) - acos(x0) + arctan(w0)", np.arcsin(X) - np.arccos(X) + np.arctan(W)),
        ("exp(w0) + log(x0)", np.exp(W) + np.log(X)),
        ("abs(w0)*sign(w0)", W),
        ("sin(1) + sign(-2) + sign(0) + sqrt(4) + abs(-3)", np.sin(1) - 1 + 0 + 2 + 3),
        ("4/2 + 1.0/2 + 2**3", 10.5),
        ("tau/4 + euler", np.pi / 2 + np.e),
    ],
)
def test_values(expression, expected):
    assert angle(expression) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1/2*x0", "1.0/2"),
        ("1/0", "zero"),
        ("1.0/0", "zero"),
        ("arcsin(2)", "invalid"),
        ("log(0)", "zero"),
        ("sqrt(-1)", "real"),
        ("9**9**9", "value"),
        ("floor(x0)", "floor.*abs, .*tan"),
        ("sin(x0, w0)", "sin.* 2 "),
        ("q", "angle"),
        ("q*2", "type error"),
        ("q/2", "'qubit"),
        ("x7", "'x7'"),
    ],
)
def test_bad_expressions(expression, message):
    with pytest.raises(CircuitError, match=rf"^test, line 6, column \d+: .*{message}"):
        angle(expression)


@pytest.mark.parametrize(
    ("chosen", "qubits"),
    [("q", [0, 1, 2]), ("q[1]", [1]), ("q[-1]", [2]), ("q[0:-1]", [0, 1, 2]), ("q[0:1]", [0, 1]),
     ("q[2:-1:0]", [2, 1, 0]), ("q[:]", [0, 1, 2]), ("q[0:2:2]", [0, 2]), ("q[{2, 0}]", [2, 0])],
)  # fmt: skip
def test_ranges(chosen, qubits):
    circuit = read_openqasm(f"{HEAD}h {chosen};", "test").circuit
    assert [circuit.find_bit(item.qubits[0]).index for item in circuit.data] == qubits


@pytest.mark.parametrize(
    "chosen", ["q[1:5]", "q[2:1]", "q[3:3]", "q[0:0:2]", "q[x0:2]", "q[0:1.5]"]
)
def test_bad_ranges(chosen):
    with pytest.raises(CircuitError, match=r"line 6, column \d+: .*(range|integer|error)"):
        read_openqasm(f"{HEAD}h {chosen};", "test")
