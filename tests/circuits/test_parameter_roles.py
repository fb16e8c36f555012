"""Inputs and weights by names, globs and functions; literal angles as weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, qasm2, qpy
from qiskit.circuit import Parameter
from qiskit.circuit import library as lib
from qiskit.quantum_info import Operator

import hybridopt as ho
from hybridopt.circuits.parameter_roles import angles_as_weights, split_parameters
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, UnknownNameError

NAMES = ["w3", "x10", "_x_2_", "x[9]", "b", "x_0", "a2", "a10", "X1", "_θ_1_"]
PARAMETERS = [Parameter(name) for name in NAMES]


def names_of(**roles) -> tuple[list[str], list[str]]:
    inputs, weights = split_parameters(
        PARAMETERS, roles.get("inputs"), roles.get("weights"), "file"
    )
    return [p.name for p in inputs], [p.name for p in weights]


OTHERS = ["X1", "a2", "a10", "b", "w3", "_θ_1_"]


@pytest.mark.parametrize(
    ("roles", "inputs", "weights"),
    [
        ({}, ["x_0", "_x_2_", "x[9]", "x10"], OTHERS),
        ({"inputs": "x*"}, ["x_0", "_x_2_", "x[9]", "x10"], OTHERS),
        ({"inputs": ["b", "a*"]}, ["b", "a2", "a10"],
         ["X1", "w3", "x_0", "_x_2_", "x[9]", "x10", "_θ_1_"]),
        ({"inputs": ["a10", "a2", "a*"]}, ["a10", "a2"],
         ["X1", "b", "w3", "x_0", "_x_2_", "x[9]", "x10", "_θ_1_"]),
        ({"inputs": ["x[2]", "_θ_1_"]}, ["_x_2_", "_θ_1_"],
         ["X1", "a2", "a10", "b", "w3", "x_0", "x[9]", "x10"]),
        ({"weights": ["w3", "[abθX]*"]}, ["x_0", "_x_2_", "x[9]", "x10"],
         ["w3", "X1", "a2", "a10", "b", "_θ_1_"]),
        ({"weights": ()},
         ["X1", "a2", "a10", "b", "w3", "x_0", "_x_2_", "x[9]", "x10", "_θ_1_"], []),
        ({"inputs": lambda name: name.startswith("x[")}, ["_x_2_", "x[9]"],
         ["X1", "a2", "a10", "b", "w3", "x_0", "x10", "_θ_1_"]),
        ({"inputs": "x*", "weights": lambda name: name[0] != "x"},
         ["x_0", "_x_2_", "x[9]", "x10"], OTHERS),
    ],
)  # fmt: skip
def test_roles(roles, inputs, weights):
    assert names_of(**roles) == (inputs, weights)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("roles", "error", "words"),
    [
        ({"inputs": "x*", "weights": "w*"}, ArgumentError, "X1, a2, a10, b, _θ_1_.*neither"),
        ({"inputs": ["b", "w3"], "weights": "*"}, ArgumentError, "file: b, w3 .*both"),
        ({"inputs": "y*"}, ArgumentError, r"`inputs`.*'y\*'.*Available: X1, a2, .*x\[2\]"),
        ({"weights": ["w3", "w4"]}, ArgumentError, "`weights`.*'w4'"),
        ({"inputs": 3}, ArgumentTypeError, "`inputs`"),
        ({"weights": [3]}, ArgumentTypeError, "`weights`"),
    ],
)
def test_refused(roles, error, words):
    with pytest.raises(error, match=words):
        names_of(**roles)


def test_two_parameters_of_one_number():
    pair = [Parameter("x1"), Parameter("x_1")]
    with pytest.raises(CircuitError, match="`x1` and `x_1`"):
        split_parameters(pair, None, None, "file")
    assert split_parameters(pair, ["x_1", "x1"], None, "file") == ((pair[1], pair[0]), ())


def assert_same_when_bound(loaded, plain):
    """Bound to their start values, trainable angles give the circuit of the file."""
    values = dict(zip(loaded.weight_parameters, loaded.initial, strict=True))
    inputs = dict.fromkeys(loaded.input_parameters, 0.4)
    first = loaded.circuit.assign_parameters({**values, **inputs})
    rest = dict.fromkeys(plain.weight_parameters, 0.0) | dict.fromkeys(plain.input_parameters, 0.4)
    second = plain.circuit.assign_parameters(rest)
    assert Operator(first).equiv(Operator(second), rtol=0, atol=1e-12)
    x = torch.full((2, len(inputs)), 0.4, dtype=torch.float64)
    layer = ho.CircuitLayer(*loaded, initial=loaded.initial).double()
    start = [0.0] * len(plain.weight_parameters)
    expected = ho.CircuitLayer(*plain, initial=start).double()(x)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-6)
    assert layer.weight.numel() == len(loaded.initial)


OPENQASM_3 = """OPENQASM 3.0;
include "stdgates.inc";
input float w3; input float x0; input float b;
gate g(s, t) a, b { rx(s) a; cry(t) a, b; rz(0.9) b; }
const float c = 0.2;
qubit[3] q;
rx(0.3) q[0]; u(0.1, w3, c + 0.2) q[1]; rz(2*x0) q[2]; h q;
cp(pi/4) q[0], q[2]; crx(-0.7) q[2], q[1]; rzz(1.2) q[0], q[1];
g(0.5, 0.6) q[0], q[2]; ctrl @ g(0.7, b) q[0], q[1], q[2]; inv @ g(0.8, 1.1) q[1], q[2];
pow(2) @ g(1.3, 1.4) q[1], q[0]; negctrl @ ry(1.5) q[0], q[2]; pow(3) @ u(0.3, 0.6, 1.7) q[2];
inv @ rx(0.25) q[1]; pow(0.5) @ rz(0.5) q[0]; ctrl @ u(2.1, 2.2, 2.3) q[2], q[1];
gphase(0.3); ry(0.35) q;
"""
VALUES_3 = [
    0.3, 0.1, 0.4, np.pi / 4, -0.7, 1.2, 0.5, 0.6, 0.7, 0.8, 1.1, 1.3, 1.4, 1.5, 0.3, 0.6, 1.7,
    -0.25, 0.25, 2.1, 2.2, 2.3, 0.35, 0.35, 0.35,
]  # fmt: skip


def test_angles_of_openqasm_3(tmp_path):
    path = tmp_path / "a.qasm"
    path.write_text(OPENQASM_3, "utf-8")
    loaded = ho.load_circuit(path, train="angles")
    names = [p.name for p in loaded.weight_parameters]
    assert names == ["b", "w3", *(f"angle[{k}]" for k in range(len(VALUES_3)))]
    assert loaded.initial == pytest.approx([0, 0, *VALUES_3], abs=1e-15)
    plain = ho.load_circuit(path)
    assert plain.initial is None
    assert_same_when_bound(loaded, plain)


OPENQASM_2 = """OPENQASM 2.0;
include "qelib1.inc";
gate g(s, t) a, b { rx(s) a; crz(t) a, b; rz(0.9) b; }
gate rzz(t) a, b { cx a, b; u1(2*t) b; cx a, b; }
qreg q[3]; creg c[3];
u2(0.1, 0.2) q[0]; u3(0.3, 0.4, 0.5) q[1]; cu1(0.6) q[0], q[2]; g(0.7, pi/3) q[2], q[1];
rzz(0.8) q[0], q[1]; h q; ry(-0.9) q[2]; cu3(1.1, 1.2, 1.3) q[1], q[0];
measure q -> c;
"""


@pytest.mark.parametrize("own", [True, False], ids=["own gates", "standard gates"])
def test_angles_of_openqasm_2(own, tmp_path):
    path = tmp_path / "a.qasm"
    lines = OPENQASM_2.split("\n")
    own_words = ("gate", "rzz")
    text = [line for line in lines if own or not line.startswith(own_words)]
    path.write_text("\n".join(text).replace("g(0.7, pi/3)", "g(0.7, pi/3)" if own else "crz(0.7)"))
    loaded = ho.load_circuit(path, train="angles")
    middle = [0.7, np.pi / 3, 0.8, -0.9] if own else [0.7]
    if not own:
        middle = [0.7]
    tail = [1.1, 1.2, 1.3] if own else []
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, *middle, *tail]
    assert loaded.initial == pytest.approx(expected, abs=1e-15)
    assert_same_when_bound(loaded, ho.load_circuit(path))


def test_angles_of_qpy(tmp_path):
    a, x = Parameter("angle"), Parameter("x0")
    circuit = QuantumCircuit(3)
    circuit.rx(a, 0)
    circuit.u(0.1, x, 0.2, 1)
    circuit.append(lib.RYGate(0.3).control(2, ctrl_state=1, annotated=False), [0, 1, 2])
    circuit.append(lib.XXPlusYYGate(0.4, 0.5), [2, 0])
    circuit.append(lib.MCPhaseGate(0.6, 2), [2, 0, 1])
    circuit.append(lib.DiagonalGate([1, -1, 1, 1]), [0, 1])
    circuit.unitary(np.eye(2), [0])
    block = QuantumCircuit(1, name="block")
    block.rx(0.7, 0)
    circuit.append(block.to_gate(), [1])
    circuit.append(lib.PauliGate("XYZ"), [0, 1, 2])
    path = tmp_path / "a.qpy"
    with path.open("wb") as file:
        qpy.dump(circuit, file)
    loaded = ho.load_circuit(path, train="angles")
    assert [p.name for p in loaded.weight_parameters][:2] == ["angle", "angle_[0]"]
    assert loaded.initial == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], abs=1e-15)
    assert_same_when_bound(loaded, ho.load_circuit(path))


def test_the_given_circuit_is_not_changed():
    circuit = QuantumCircuit(3)
    circuit.rx(0.3, 1)
    circuit.rzz(0.4, 0, 2)
    before = circuit.copy()
    trained, angles, values = angles_as_weights(circuit)
    assert circuit == before
    assert values == [0.3, 0.4]
    assert list(trained.parameters) == list(angles)
    assert qasm2.dumps(trained.assign_parameters(values)) == qasm2.dumps(before)


def test_unknown_train(tmp_path):
    with pytest.raises(UnknownNameError, match="`train`"):
        ho.load_circuit("qcnn", train="angels")


def test_natural_order_of_long_numbers():
    names = ["w2", "w10", "w" + "9" * 5000, "w1" + "0" * 5000]
    _, weights = split_parameters([Parameter(name) for name in reversed(names)], None, None, "a")
    assert [parameter.name for parameter in weights] == names
