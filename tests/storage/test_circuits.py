"""Circuits that QPY cannot hold are stored in another form, or refused."""

from __future__ import annotations

import zipfile

import pytest
import torch
from qiskit import QuantumCircuit, qpy, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import DiagonalGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import random_clifford
from torch import nn

import hybridopt as ho
from hybridopt import CircuitLayer, load, save
from hybridopt.errors import ConversionError
from hybridopt.storage import circuits
from tests.storage.examples import entangler

ANGLE = Parameter("angle")
NOTHING = torch.zeros(1, 0)


def test_memory_too_wide_for_qpy_is_stored_as_its_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 31)
    quantum = ho.to_quantum(nn.Linear(4, 3), "memory")  # 2^4 addresses, 2^5 phases
    path = save(quantum, tmp_path / "network.ho")
    with zipfile.ZipFile(path) as file, file.open("circuits/0.qpy") as stream:
        (circuit,) = qpy.load(stream)
    assert dict(circuit.count_ops()) == {"h": 4, "ry": 16, "cx": 16}
    assert torch.equal(load(path)(torch.ones(4)), quantum(torch.ones(4)))


def test_gate_too_wide_for_qpy_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 3)
    circuit = QuantumCircuit(2)
    circuit.append(DiagonalGate([1, 1j, -1, 1]), [0, 1])
    with pytest.raises(ConversionError, match="4 parameters"):
        save(CircuitLayer(circuit, observables=["ZZ"]), tmp_path / "layer.ho")


def test_qpy_of_another_circuit_is_refused(tmp_path, monkeypatch):
    dump = circuits.qpy.dump
    monkeypatch.setattr(circuits.qpy, "dump", lambda _, raw: dump(QuantumCircuit(4), raw))
    with pytest.raises(ConversionError, match="another circuit"):
        save(entangler(), tmp_path / "layer.ho")


def test_metadata_without_json_form_is_refused(tmp_path):
    circuit = QuantumCircuit(3, metadata={"owner": object()})
    circuit.ry(ANGLE, 0)
    with pytest.raises(ConversionError, match=f"'{circuit.name}'.*JSON"):
        save(CircuitLayer(circuit, [], [ANGLE], ["ZZX"]), tmp_path / "layer.ho")
    assert list(tmp_path.iterdir()) == []


def test_cliffords_are_stored_as_gates(tmp_path):
    circuit = QuantumCircuit(3)
    circuit.append(random_clifford(2, seed=1), [0, 2])
    circuit.ry(ANGLE, 0)
    layer = CircuitLayer(circuit, [], [ANGLE], ["ZZX", "YIZ"], initial=[0.4])
    loaded = load(save(layer, tmp_path / "layer.ho"))
    torch.testing.assert_close(loaded(NOTHING), layer(NOTHING), rtol=0, atol=1e-6)


def test_transpiled_circuit_keeps_its_layout(tmp_path):
    circuit = QuantumCircuit(3)
    circuit.ry(ANGLE, 0)
    circuit.cx(0, 2)
    isa = transpile(circuit, GenericBackendV2(5, seed=1), initial_layout=[4, 2, 0])
    layer = CircuitLayer(isa, [], [ANGLE], ["ZIZ"], initial=[0.4])
    loaded = load(save(layer, tmp_path / "layer.ho"))
    assert loaded.num_qubits == layer.num_qubits
    assert torch.equal(loaded(NOTHING), layer(NOTHING))
