from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import AnnotatedOperation, ControlModifier, Parameter, ParameterVector
from qiskit.circuit.library import (
    HGate,
    PauliEvolutionGate,
    QFTGate,
    RXGate,
    XXMinusYYGate,
    XXPlusYYGate,
    efficient_su2,
)
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
        circuit.append(XXPlusYYGate(first, second), [0, 2])
        circuit.append(XXMinusYYGate(first, second), [1, 0])
        circuit.rzz(first, 0, 1)
        circuit.ryy(second, 1, 2)
        circuit.cry(first, 2, 0)
        circuit.u(first, second, 0.2, 1)
        circuit.mcp(first, [0, 1], 2)
        circuit.append(RXGate(second).control(2, ctrl_state=1, annotated=False), [0, 1, 2])
    circuit.ecr(0, 1)
    circuit.sxdg(2)
    circuit.ccz(0, 1, 2)
    return circuit


def composites() -> QuantumCircuit:
    """The exporter of Qiskit 2.6 writes the second block with the angles of the first."""
    circuit = QuantumCircuit(3)
    circuit.append(block(T[0], T[1]).to_gate(), [0, 1])
    circuit.append(block(T[1] * T[2], T[0]).to_gate(), [1, 2])
    circuit.append(block(T[3], T[2]).to_gate().inverse(), [2, 0])
    lie = QuantumCircuit(1, name="rx")
    lie.ry(T[0], 0)
    circuit.append(lie.to_gate(), [1])
    circuit.append(AnnotatedOperation(HGate(), [ControlModifier(1)]), [0, 2])
    circuit.append(QFTGate(3), [2, 0, 1])
    circuit.unitary(Operator(QFTGate(2)).data, [0, 2])
    return circuit


CIRCUITS = {
    "expressions": expressions,
    "gates": gates,
    "composites": composites,
    "library": lambda: efficient_su2(3, reps=1),
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_round_trip(name, tmp_path):
    circuit = CIRCUITS[name]()
    parameters = list(circuit.parameters)[::-1]
    inputs, weights = parameters[:1], parameters[1:]
    observables = [SparsePauliOp(["ZII", "IXY"], [0.1, -1.5]), SparsePauliOp("IIZ")]
    path = save_circuit(tmp_path / "a.qasm", circuit, inputs, weights, observables)
    loaded = load_circuit(path)
    assert unitary(circuit, inputs, weights).equiv(unitary(*loaded[:3]))
    assert [p.name for p in loaded.input_parameters] == ["x0"]
    assert [p.name for p in loaded.weight_parameters] == [f"w{i}" for i in range(len(weights))]
    assert list(loaded.observables) == observables
    again = save_circuit(tmp_path / "b.qasm", *loaded)
    assert again.read_text("utf-8") == path.read_text("utf-8")


def test_numbers_survive_to_the_last_digit(tmp_path):
    angles = [np.pi / 3 + 1e-10, 1e-11, 0.1 + 0.2, np.pi]
    circuit = QuantumCircuit(3)
    for angle in angles:
        circuit.rz(angle, 1)
    loaded = load_circuit(save_circuit(tmp_path / "a.qasm", circuit)).circuit
    assert [item.operation.params[0] for item in loaded.data] == angles


def test_names_may_change_places(tmp_path):
    x0, x1 = Parameter("x0"), Parameter("x1")
    circuit = QuantumCircuit(QuantumRegister(2, "w0"), QuantumRegister(1, "x0"))
    circuit.rx(x1, 0)
    circuit.ry(x0, 2)
    loaded = load_circuit(save_circuit(tmp_path / "a.qasm", circuit, [x1, x0]))
    assert unitary(circuit, [x1, x0], []).equiv(unitary(*loaded[:3]))


def test_unused_inputs_keep_their_places(tmp_path):
    text = (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float x0; input float x1; input float w5;\n'
        "qubit[3] q;\nrx(x1) q[2];"
    )
    (tmp_path / "a.qasm").write_text(text, "utf-8")
    again = load_circuit(save_circuit(tmp_path / "b.qasm", *load_circuit(tmp_path / "a.qasm")))
    assert [p.name for p in again.input_parameters] == ["x0", "x1"]
    assert [p.name for p in again.weight_parameters] == ["w0"]
    assert lower(*again[:3]).num_row_angles == 1


def test_exchanges_keep_their_settings(tmp_path):
    circuit = QuantumCircuit(3)
    circuit.append(XXPlusYYGate(T[0], 0), [0, 2])
    loaded = load_circuit(save_circuit(tmp_path / "a.qasm", circuit, [], [T[0]]))
    assert lower(*loaded[:3]).shifts == lower(circuit, [], [T[0]]).shifts


def test_evolutions_are_saved_as_what_is_run(tmp_path):
    """A product formula, as lowering takes it, not the exponential of the sum."""
    gate = PauliEvolutionGate(SparsePauliOp(["XXZ", "ZII"]), time=T[0])
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
        ({"path": "a.txt"}, ArgumentError, "`path`.*'a.txt'"),
        ({"circuit": "qcnn"}, ArgumentTypeError, "`circuit`"),
        ({"circuit": measured()}, CircuitError, "`measure` on qubit 0 has no unitary"),
        ({"circuit": conjugated()}, CircuitError, "`conj`"),
        ({"weight_parameters": []}, CircuitError, "neither inputs nor weights: θ"),
        ({"weight_parameters": [T[0], T[1]]}, CircuitError, "does not have: θ"),
        ({"observables": ["ZZ"]}, ArgumentError, "2 qubits"),
    ],
)
def test_refused(changes, error, message, tmp_path):
    circuit = QuantumCircuit(3)
    circuit.rx(T[0], 0)
    given = {"path": tmp_path / "a.qasm", "circuit": circuit, "weight_parameters": [T[0]]}
    with pytest.raises(error, match=message):
        save_circuit(**{**given, **changes})
    assert list(tmp_path.iterdir()) == []


def test_refused_places(tmp_path):
    (tmp_path / "folder.qasm").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder.qasm", tmp_path / "file" / "a.qasm"):
        with pytest.raises(OutputError):
            save_circuit(path, QuantumCircuit(3))


@pytest.mark.parametrize("wrong", ["rx(w0) q[1];", "rx(2*w0) q[0];", ""])
def test_an_exporter_that_errs_is_found_out(wrong, tmp_path, monkeypatch):
    circuit = QuantumCircuit(3)
    circuit.rx(T[0], 0)
    dumps = qasm3.dumps
    monkeypatch.setattr(
        qasm3,
        "dumps",
        lambda *args, **kwargs: dumps(*args, **kwargs).replace("rx(w0) q[0];", wrong),
    )
    with pytest.raises(CircuitError, match="exporter writes another circuit"):
        save_circuit(tmp_path / "a.qasm", circuit, [], [T[0]])
    assert list(tmp_path.iterdir()) == []
