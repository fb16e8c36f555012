"""Circuits that QPY cannot hold are stored in another form, or refused."""

from __future__ import annotations

import zipfile

import pytest
import torch
from qiskit import QuantumCircuit, qpy
from qiskit.circuit.library import DiagonalGate
from torch import nn

import hybridopt as ho
from hybridopt.errors import ConversionError
from hybridopt.storage import circuits
from tests.storage.examples import entangler


def test_a_memory_too_wide_for_qpy_is_stored_as_its_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 31)
    quantum = ho.to_quantum(nn.Linear(4, 3), "memory")  # 2^4 places, 2^5 phases
    path = ho.save(quantum, tmp_path / "network.ho")
    with zipfile.ZipFile(path) as file, file.open("circuits/0.qpy") as stream:
        (circuit,) = qpy.load(stream)
    assert dict(circuit.count_ops()) == {"h": 4, "ry": 16, "cx": 16}
    assert torch.equal(ho.load(path)(torch.ones(4)), quantum(torch.ones(4)))


def test_a_gate_too_wide_for_qpy_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 3)
    circuit = QuantumCircuit(2)
    circuit.append(DiagonalGate([1, 1j, -1, 1]), [0, 1])
    layer = ho.CircuitLayer(circuit, observables=["ZZ"])
    with pytest.raises(ConversionError, match="A gate with 4 parameters cannot be stored"):
        ho.save(layer, tmp_path / "layer.ho")


def test_qpy_that_says_something_else_is_refused(tmp_path, monkeypatch):
    other = circuits.circuit_to_bytes(QuantumCircuit(4))
    monkeypatch.setattr(circuits, "circuit_to_bytes", lambda _circuit: other)
    with pytest.raises(ConversionError, match="Qiskit writes another circuit as QPY"):
        ho.save(entangler(), tmp_path / "layer.ho")
