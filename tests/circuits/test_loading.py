"""Circuits of the gallery and of the user's files."""

from __future__ import annotations

import io
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
    x = torch.tensor([[0.3, -0.7, 99.0]], dtype=torch.float64)  # no gate uses x10
    expected = 0.5 * np.cos(-1.4) - np.sin(-1.4)  # <ZII> = <IZI>; XX exchanges |00> and |11>
    assert layer(x).item() == pytest.approx(expected, abs=1e-7)


def test_a_string_with_an_ending_or_a_folder_is_a_path(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    for path in ("mine.qasm", "./mine.qasm", str(own)):
        assert load_circuit(path).circuit.name == "mine"
    (own.parent / "plain").write_text(OWN, "utf-8")
    assert load_circuit("./plain").circuit.num_qubits == 3
    with pytest.raises(UnknownNameError, match=r"'plain\.qasm'"):
        load_circuit("plain")


def test_line_ends_and_byte_order_marks(own):
    own.write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert load_circuit(own).observables[0].to_list() == [("ZII", 0.5), ("XXI", -1)]


def test_file_from_the_exporter_of_qiskit(tmp_path):
    """The exporter writes parameters of vectors as `_x_0_`."""
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
    first, second = (
        Operator(circuit.assign_parameters(dict(zip(parameters, values, strict=True))))
        for circuit, parameters in (
            (circuit, (*feature_map.parameters, *weights)),
            (loaded.circuit, (*loaded.input_parameters, *loaded.weight_parameters)),
        )
    )
    assert first.equiv(second)
    assert len(loaded.observables) == 3


def test_names_of_the_gallery():
    names = circuit_names()
    assert names == sorted(names)
    assert len(names) >= 12
    assert gallery_folder() == Path(__file__).parents[2] / "circuits"
    assert load_circuit(names[0]).circuit.name == names[0]


def test_comment_at_the_head_of_a_file(own):
    file = circuit_text(own)
    assert (file.what, file.origin) == ("My circuit.", "me.")
    assert circuit_text("qcnn").what.startswith("Quantum convolutional network")
    own.write_text("OPENQASM 3.0;\nqubit q;", "utf-8")
    assert (circuit_text(own).what, circuit_text(own).origin) == ("", "")


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("strongly_entangeling", UnknownNameError, "strongly_entangeling.*'strongly_entangling'"),
        ("QCNN", UnknownNameError, "'QCNN'.*'qcnn'"),
        ("", UnknownNameError, "circuit ''"),
        ("qcnn.qasm", CircuitError, "qcnn.qasm: .*'qcnn'"),
        ("nowhere/at_all.qasm", CircuitError, "nowhere/at_all.qasm"),
        ("~/nowhere/at_all.qasm", CircuitError, " /.*nowhere/at_all.qasm"),
        ("./", CircuitError, "irectory"),
        ("a\0b.qasm", CircuitError, "a\0b.qasm"),
        (3, ArgumentTypeError, "`name_or_path`"),
        (None, ArgumentTypeError, "`name_or_path`"),
    ],
)
def test_bad_names_and_paths(name, error, message):
    with pytest.raises(error, match=message):
        load_circuit(name)


QPY = io.BytesIO()
qpy.dump(QuantumCircuit(3), QPY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\xff\xfe\x00", "is not text"),
        (QPY.getvalue(), "qpy.load"),
        (b"", "statements"),
        (OWN.replace("cx q[1]", "cx q[1").encode(), r"line 8, column \d+: "),
        (OWN.replace("ZII", "ZZ").encode(), "line 3, column 22: .*`ZZ`"),
        (OWN.encode() + b"bit[3] c; c = measure q;", "line 9, column 11: `measure`"),
        (OWN.encode() + b"reset q[0]; h q[0];", "line 9, column 1: `reset`"),
    ],
    ids=["binary", "qpy", "empty", "syntax", "observable", "measure", "reset"],
)
def test_bad_files(own, content, message):
    own.write_bytes(content)
    with pytest.raises(CircuitError, match=f"mine.qasm.*{message}"):
        load_circuit(own)
