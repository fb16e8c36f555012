from __future__ import annotations

import pickle
from contextlib import suppress
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
    with pytest.raises(UnknownNameError, match=r"'plain\.qasm'"):
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
    ("name", "error", "words"),
    [
        ("strongly_entangeling", UnknownNameError, "'strongly_entangling'"),
        ("QCNN", UnknownNameError, "'qcnn'"),
        ("", UnknownNameError, "circuit ''"),
        ("qcnn.qasm", CircuitError, "qcnn.qasm does not exist.*'qcnn'"),
        ("nowhere/at_all.qasm", CircuitError, "nowhere/at_all.qasm does not exist.$"),
        ("~/nowhere/at_all.qasm", CircuitError, "file /"),
        ("./", CircuitError, "irectory"),
        ("a\0b.qasm", CircuitError, "cannot be read"),
        (3, ArgumentTypeError, "`name_or_path`"),
        (None, ArgumentTypeError, "`name_or_path`"),
    ],
)
def test_refused(name, error, words):
    with pytest.raises(error, match=words):
        load_circuit(name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\xff\xfe\x00", "OpenQASM or QPY"),
        (b"", "no statements"),
        (OWN.replace("cx q[1]", "cx q[1").encode(), r"mine.qasm, line 8, column \d+: unexpected"),
        (OWN.replace("ZII", "ZZ").encode(), "line 3, column 22: .*`ZZ`"),
        (OWN.encode() + b"reset q[0]; h q[0];", "line 9, column 1: `reset`"),
    ],
    ids=["binary", "empty", "syntax", "observable", "reset"],
)
def test_bad_files(own, content, words):
    own.write_bytes(content)
    with pytest.raises(CircuitError, match=words):
        load_circuit(own)


def labels(loaded: LoadedCircuit) -> list[str]:
    return [observable.to_list()[0][0] for observable in loaded.observables]


MEASURED = "bit[2] c; c[1] = measure q[0]; c[0] = measure q[2];"


def test_default_observables(own):
    """Those of the comments, or Z of the measured qubits in the order of their bits."""
    plain = OWN.replace("observable:", "note:")
    for text, expected, origin in [
        (OWN + MEASURED, ["ZII", "XXI"], "comments"),
        (plain, ["IIZ", "IZI", "ZII"], "all qubits"),
        (plain + MEASURED, ["ZII", "IIZ"], "measurements"),
    ]:
        own.write_text(text, "utf-8")
        found = load_circuit(own)
        assert found.observables_from == origin
        assert [label for o in found.observables for label, _ in o.to_list()] == expected
    own.write_text(
        OWN.replace("observable: 0.5 * ZII - XXI", "observables: probabilities") + MEASURED
    )
    assert load_circuit(own).observables is None


def test_openqasm_2(own):
    own.write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3]; creg c[3];\nh q[0]; cx q[0],q[2];\n'
        "measure q[1] -> c[0]; measure q[2] -> c[1];",
        "utf-8",
    )
    loaded = load_circuit(own)
    assert labels(loaded) == ["IZI", "ZII"]
    assert (loaded.circuit.name, loaded.initial, loaded.notes) == ("mine", None, ())
    outputs = ho.CircuitLayer(*loaded)(torch.zeros(1, 0))
    torch.testing.assert_close(outputs, torch.tensor([[1.0, 0.0]]), rtol=0, atol=1e-6)


def test_notes(own):
    own.write_text(OWN + "#pragma braket result expectation z(q[0])\n", "utf-8")
    (note,) = load_circuit(own).notes
    assert "braket result expectation z(q[0])" in note


def written(path: Path, *circuits: QuantumCircuit) -> Path:
    with path.open("wb") as file:
        qpy.dump(list(circuits), file)
    return path


def test_qpy(tmp_path):
    """A QPY file is recognized by its content; parameters of vectors are in natural order."""
    x, theta = ParameterVector("x", 11), ParameterVector("θ", 2)
    circuit = QuantumCircuit(3, 3)
    for place, angle in enumerate((*x, *theta)):
        circuit.rx(angle, place % 3)
    circuit.measure([2, 0], [0, 1])
    for name in ("a.qpy", "b.bin"):
        loaded = load_circuit(written(tmp_path / name, circuit))
        assert list(loaded.input_parameters) == list(x)
        assert list(loaded.weight_parameters) == list(theta)
        assert labels(loaded) == ["ZII", "IIZ"]
    swapped = load_circuit(tmp_path / "a.qpy", inputs="θ*", weights="x*")
    assert [p.name for p in swapped.weight_parameters] == [f"x[{k}]" for k in range(11)]
    layer = ho.CircuitLayer(*load_circuit(tmp_path / "a.qpy"), initial=[0.3, -0.4]).double()
    values = torch.linspace(-1, 1, 11, dtype=torch.float64)[None]
    angles = [*values[0].tolist(), 0.3, -0.4]
    expected = [np.cos(sum(angles[2::3])), np.cos(sum(angles[0::3]))]
    torch.testing.assert_close(layer(values)[0].tolist(), expected, rtol=0, atol=1e-6)


def test_bad_qpy(tmp_path):
    path = written(tmp_path / "a.qpy", QuantumCircuit(3), QuantumCircuit(2))
    with pytest.raises(CircuitError, match=r"a\.qpy must contain one circuit \(got 2\)"):
        load_circuit(path)
    with pytest.raises(CircuitError, match=r"a\.qpy has no qubits"):
        load_circuit(written(path, QuantumCircuit()))
    written(path, QuantumCircuit(3))
    data = path.read_bytes()
    path.write_bytes(data[:30])
    with pytest.raises(CircuitError, match=r"a\.qpy cannot be read as QPY"):
        load_circuit(path)
    for damaged in (
        data[: len(data) // 2],
        data[:6],
        data[:-3] + b"\xff" * 3,
        b"QISKIT" + data[::-1],
    ):
        path.write_bytes(damaged)
        with suppress(CircuitError):  # no other error
            load_circuit(path)


def test_loaded_circuits_are_pickled(own):
    own.write_text(OWN + "rx(0.3) q[0];", "utf-8")
    loaded = load_circuit(own, train="angles")
    again = pickle.loads(pickle.dumps(loaded))
    assert again == loaded
    assert (again.initial, again.notes) == (loaded.initial, loaded.notes) == ([0.0, 0.3], ())
