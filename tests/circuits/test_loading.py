from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, qasm3, qpy
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import zz_feature_map
from qiskit.quantum_info import Operator

import hybridopt as ho
from hybridopt.circuits import LoadedCircuit, circuit_names, load_circuit
from hybridopt.circuits.loading import circuit_text, gallery_folder
from hybridopt.errors import ArgumentTypeError, CircuitError, UnknownNameError

OWN = """// My circuit.
// Source: me.
// observable: 0.5 * ZII - XXI
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x10; input float x9; input float w0;
qubit[3] q;
ry(x0) q[0]; ry(x9*w0) q[1]; cx q[1], q[2];
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.qasm"
    path.write_text(OWN, "utf-8")
    return path


def test_own_file(own):
    loaded = load_circuit(own)
    assert isinstance(loaded, LoadedCircuit)
    circuit, inputs, weights, observables = loaded
    assert (circuit.name, circuit.num_qubits) == ("mine", 3)
    assert [p.name for p in inputs] == ["x0", "x9", "x10"]
    assert [p.name for p in weights] == ["w0"]
    assert observables[0].to_list() == [("ZII", 0.5), ("XXI", -1)]
    layer = ho.CircuitLayer(*loaded, initial=[2.0])
    x = torch.tensor([[0.3, -0.7, 99.0]], dtype=torch.float64)  # x10 turns nothing
    expected = 0.5 * np.cos(-1.4) - np.sin(-1.4)  # <ZII> = <IZI>; XX turns |00>, |11> over
    assert layer(x).item() == pytest.approx(expected, abs=1e-7)


def test_a_string_with_an_ending_or_a_folder_is_a_path(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    for path in ("mine.qasm", "./mine.qasm", str(own)):
        assert load_circuit(path).circuit.name == "mine"
    (own.parent / "plain").write_text(OWN, "utf-8")
    assert load_circuit("./plain").circuit.num_qubits == 3
    with pytest.raises(UnknownNameError, match=r"such as 'plain\.qasm'"):
        load_circuit("plain")


def test_line_ends_and_marks_of_other_systems(own):
    own.write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert load_circuit(own).observables[0].to_list() == [("ZII", 0.5), ("XXI", -1)]


def test_what_qiskit_exports(tmp_path):
    """Parameters of vectors are `_x_0_` there."""
    feature_map = zz_feature_map(3, reps=1)
    weights = ParameterVector("w", 11)
    circuit = QuantumCircuit(3)
    circuit.compose(feature_map, inplace=True)
    for place, weight in enumerate(weights):
        circuit.ry(weight, place % 3)
    path = tmp_path / "exported.qasm"
    path.write_text(qasm3.dumps(circuit), "utf-8")
    loaded = load_circuit(path)
    values = np.random.default_rng(1).uniform(-2, 2, 14)
    first = circuit.assign_parameters(
        dict(zip((*feature_map.parameters, *weights), values, strict=True))
    )
    second = loaded.circuit.assign_parameters(
        dict(zip((*loaded.input_parameters, *loaded.weight_parameters), values, strict=True))
    )
    assert Operator(first).equiv(Operator(second))
    assert len(loaded.observables) == 3


def test_gallery_names():
    names = circuit_names()
    assert names == sorted(names)
    assert len(names) >= 12
    assert gallery_folder() == Path(__file__).parents[2] / "circuits"
    assert load_circuit(names[0]).circuit.name == names[0]


def test_head(own):
    file = circuit_text(own)
    assert (file.what, file.origin) == ("My circuit.", "me.")
    assert circuit_text("qcnn").what.startswith("Quantum convolutional network")
    own.write_text("OPENQASM 3.0;\nqubit q;", "utf-8")
    assert (circuit_text(own).what, circuit_text(own).origin) == ("", "")


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("strongly_entangeling", UnknownNameError, "Did you mean .*'strongly_entangling'.*Known: "),
        ("QCNN", UnknownNameError, "Did you mean 'qcnn'"),
        ("", UnknownNameError, "Unknown circuit ''"),
        ("qcnn.qasm", CircuitError, "no file qcnn.qasm. The gallery has it by the name 'qcnn'"),
        ("nowhere/at_all.qasm", CircuitError, "There is no file nowhere/at_all.qasm.$"),
        ("~/nowhere/at_all.qasm", CircuitError, "There is no file /"),
        ("./", CircuitError, "Cannot read .*irectory"),
        ("a\0b.qasm", CircuitError, "Cannot read"),
        (3, ArgumentTypeError, "`name_or_path` must be a path"),
        (None, ArgumentTypeError, "`name_or_path` must be a path"),
    ],
)  # fmt: skip
def test_refused(name, error, message):
    with pytest.raises(error, match=message):
        load_circuit(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\xff\xfe\x00", "is not text"),
        (b"", "has no statements"),
        (OWN.replace("cx q[1]", "cx q[1").encode(), r"mine.qasm, line 8, column \d+: unexpected"),
        (OWN.replace("ZII", "ZZ").encode(), "line 3, column 22: observable ZZ has 2 letters"),
        (OWN.encode() + b"bit[3] c; c = measure q;", "line 9, column 11: `measure`"),
        (OWN.encode() + b"reset q[0]; h q[0];", "line 9, column 1: `reset`"),
    ],
    ids=["binary", "empty", "syntax", "observable", "measure", "reset"],
)
def test_bad_files(own, content, message):
    own.write_bytes(content)
    with pytest.raises(CircuitError, match=message):
        load_circuit(own)


def test_qpy_is_told_from_openqasm(tmp_path):
    path = tmp_path / "circuit.qpy"
    with path.open("wb") as file:
        qpy.dump(QuantumCircuit(3), file)
    with pytest.raises(CircuitError, match=r"holds circuits as QPY, not OpenQASM 3\. Read it by"):
        load_circuit(path)
