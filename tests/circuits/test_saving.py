"""Saved circuits are read again as the same circuits."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, QuantumRegister, qasm3, qpy
from qiskit.circuit import AnnotatedOperation, ControlModifier, Parameter, ParameterVector
from qiskit.circuit import library as lib
from qiskit.quantum_info import Operator, SparsePauliOp

from hybridopt.circuits import load_circuit, lower, save_circuit
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, OutputError

T = ParameterVector("θ", 12)
A, B = Parameter("a b"), Parameter("x1")


def unitary(circuit, inputs, weights) -> Operator:
    given = (*inputs, *weights)
    values = np.random.default_rng(4).uniform(0.1, 0.9, len(given))
    return Operator(circuit.assign_parameters(dict(zip(given, values, strict=True))))


def block(angle, other) -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="block")
    circuit.rx(angle, 0)
    circuit.ry(other, 1)
    circuit.cx(0, 1)
    return circuit


def expressions() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.rx(A**2 - A / 3, 0)
    circuit.rz(2 * B.sin() + A * B.exp() - 1e-10, 1)
    circuit.p(2 * (np.pi - A) * (np.pi - B), 2)
    circuit.ry(A.arcsin() + B.log() + A.abs() * B.sign() + A**0.5 + B**-1, 1)
    circuit.ry(np.pi / 3 + 1e-10, 0)  # not pi/3
    return circuit


def gates() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    for first, second in ((T[0], T[1]), (2 * T[2], T[0] + 1), (0.3, T[3])):
        circuit.append(lib.XXPlusYYGate(first, second), [0, 2])
        circuit.append(lib.XXMinusYYGate(first, second), [1, 0])
        circuit.rzz(first, 0, 1)
        circuit.ryy(second, 1, 2)
        circuit.cry(first, 2, 0)
        circuit.u(first, second, 0.2, 1)
        circuit.mcp(first, [0, 1], 2)
        circuit.append(lib.RXGate(second).control(2, ctrl_state=1, annotated=False), [0, 1, 2])
    circuit.ecr(0, 1)
    circuit.sxdg(2)
    circuit.ccz(0, 1, 2)
    return circuit


def composites() -> QuantumCircuit:
    """Qiskit 2.6 exports the second block with the angles of the first one."""
    circuit = QuantumCircuit(3)
    circuit.append(block(T[0], T[1]).to_gate(), [0, 1])
    circuit.append(block(T[1] * T[2], T[0]).to_gate(), [1, 2])
    circuit.append(block(T[3], T[2]).to_gate().inverse(), [2, 0])
    lie = QuantumCircuit(1, name="rx")
    lie.ry(T[0], 0)
    circuit.append(lie.to_gate(), [1])
    circuit.append(AnnotatedOperation(lib.HGate(), [ControlModifier(1)]), [0, 2])
    circuit.append(lib.QFTGate(3), [2, 0, 1])
    circuit.unitary(Operator(lib.QFTGate(2)).data, [0, 2])
    return circuit


def names() -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(2, "w0"), QuantumRegister(1, "x0"))
    circuit.append(lib.XXPlusYYGate(Parameter("x1"), 0), [0, 2])
    circuit.ry(Parameter("x0"), 2)
    return circuit


CIRCUITS = {
    "names": names,
    "expressions": expressions,
    "gates": gates,
    "composites": composites,
    "library": lambda: lib.efficient_su2(3, reps=1),
}


@pytest.mark.parametrize("ending", ["qasm", "qpy"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_round_trip(name, ending, tmp_path):
    circuit = CIRCUITS[name]()
    parameters = list(circuit.parameters)[::-1]
    inputs, weights = parameters[:1], parameters[1:]
    observables = [SparsePauliOp(["ZII", "IXY"], [0.1, -1.5]), SparsePauliOp("IIZ")]
    path = save_circuit(tmp_path / f"a.{ending}", circuit, inputs, weights, observables)
    loaded = load_circuit(path)
    assert unitary(circuit, inputs, weights).equiv(unitary(*loaded[:3]))
    if name != "gates":  # some of its gates are decomposed
        assert lower(*loaded[:3]).shifts == lower(circuit, inputs, weights).shifts
    assert [p.name for p in loaded.input_parameters] == ["x0"]
    assert [p.name for p in loaded.weight_parameters] == [f"w{i}" for i in range(len(weights))]
    assert list(loaded.observables) == observables
    again = save_circuit(tmp_path / f"b.{ending}", *loaded)
    texts = [qasm3.dumps(load_circuit(one).circuit) for one in (again, path)]
    if ending == "qasm":
        texts = [one.read_text("utf-8") for one in (again, path)]
    assert texts[0] == texts[1]


def test_qpy_files_contain_probabilities_and_refuse_unused_parameters(tmp_path):
    circuit = QuantumCircuit(2, global_phase=B)  # the file leaves out the phase
    circuit.ry(A, 0)
    path = tmp_path / "a.qpy"
    with pytest.raises(CircuitError, match=r"`path` must end in \.qasm .*\(here x1\)"):
        save_circuit(path, circuit, [A, B])
    assert not path.exists()
    circuit.global_phase = 0
    assert load_circuit(save_circuit(path, circuit, [A])).observables is None
    with path.open("rb") as stream:
        (plain,) = qpy.load(stream)  # Qiskit reads it as any other
    assert plain.parameters[0].name == "x0"
    (key,) = plain.metadata
    for metadata, found in (({}, 2), ({"other": 1}, 2), ({key: ["// observable: ZX"]}, 1)):
        plain.metadata = metadata
        with path.open("wb") as stream:
            qpy.dump(plain, stream)
        assert len(load_circuit(path).observables) == found  # <Z> of both qubits without one
    plain.metadata = {key: ["// observable: ZXX"]}
    with path.open("wb") as stream:
        qpy.dump(plain, stream)
    with pytest.raises(CircuitError, match=r"a\.qpy"):
        load_circuit(path)


def test_numbers_are_saved_exactly(tmp_path):
    angles = [np.pi / 3 + 1e-10, 1e-11, 0.1 + 0.2, np.pi]
    circuit = QuantumCircuit(3)
    for angle in angles:
        circuit.rz(angle, 1)
    loaded = load_circuit(save_circuit(tmp_path / "a.qasm", circuit)).circuit
    assert [item.operation.params[0] for item in loaded.data] == angles


def test_unused_inputs_keep_their_numbers(tmp_path):
    text = (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float x0; input float x1; input float w5;\n'
        "qubit[3] q;\nrx(x1) q[2];"
    )
    (tmp_path / "a.qasm").write_text(text, "utf-8")
    again = load_circuit(save_circuit(tmp_path / "b.qasm", *load_circuit(tmp_path / "a.qasm")))
    assert [p.name for p in again.input_parameters] == ["x0", "x1"]
    assert [p.name for p in again.weight_parameters] == ["w0"]
    assert lower(*again[:3]).num_row_angles == 1


def test_evolutions_are_saved_as_product_formulas(tmp_path):
    gate = lib.PauliEvolutionGate(SparsePauliOp(["XXZ", "ZII"]), time=T[0])
    circuit = QuantumCircuit(3)
    circuit.append(gate, [0, 1, 2])
    loaded = load_circuit(save_circuit(tmp_path / "a.qasm", circuit, [], [T[0]]))
    parts = circuit.decompose(reps=3)
    assert unitary(parts, [], [T[0]]).equiv(unitary(*loaded[:3]))


def measured() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    circuit.rx(T[0], 0)
    circuit.measure(0, 0)
    return circuit


def conjugated() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.rx(T[0].conjugate(), 0)
    return circuit


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"path": 3}, ArgumentTypeError, "`path`"),
        ({"path": "a.txt"}, ArgumentError, "`path`"),
        ({"path": "folder.qasm"}, OutputError, "folder.qasm"),
        ({"path": "folder.qasm/file/a.qasm"}, OutputError, "folder.qasm"),
        ({"circuit": "qcnn"}, ArgumentTypeError, "`circuit`"),
        ({"circuit": measured()}, CircuitError, "`measure` on qubit 0"),
        ({"circuit": conjugated()}, CircuitError, "conj"),
        ({"weight_parameters": []}, CircuitError, "neither .*: θ"),
        ({"weight_parameters": [T[0], T[1]]}, CircuitError, "does not have: θ"),
        ({"observables": ["ZZ"]}, ArgumentError, "Observable 0"),
    ],
)
def test_bad_arguments_leave_no_file(changes, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.qasm").mkdir()
    (tmp_path / "folder.qasm" / "file").touch()
    circuit = QuantumCircuit(3)
    circuit.rx(T[0], 0)
    given = {"path": "a.qasm", "circuit": circuit, "weight_parameters": [T[0]]}
    with pytest.raises(error, match=message):
        save_circuit(**{**given, **changes})
    assert [path.name for path in tmp_path.iterdir()] == ["folder.qasm"]


@pytest.mark.parametrize("wrong", ["rx(w0) q[1];", "rx(2*w0) q[0];", ""])
def test_text_of_another_circuit_is_rejected(wrong, tmp_path, monkeypatch):
    circuit = QuantumCircuit(3)
    circuit.rx(T[0], 0)
    text = qasm3.dumps(circuit.assign_parameters({T[0]: Parameter("w0")}), disable_constants=True)
    text = text.replace("rx(w0) q[0];", wrong)
    monkeypatch.setattr(qasm3, "dumps", lambda *args, **kwargs: text)
    with pytest.raises(CircuitError, match="exporter"):
        save_circuit(tmp_path / "a.qasm", circuit, [], [T[0]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stored", [5, None, [], ["ZZ"], ["// observabel: ZZ"], [5], {"a": 1}])
def test_damaged_observables_in_qpy_are_refused(stored, tmp_path):
    circuit = QuantumCircuit(2, metadata={"hybridopt.observables": stored})
    circuit.ry(Parameter("w0"), 0)
    with (tmp_path / "c.qpy").open("wb") as file:
        qpy.dump(circuit, file)
    with pytest.raises(CircuitError, match=r"hybridopt\.observables"):
        load_circuit(tmp_path / "c.qpy")
