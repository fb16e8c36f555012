"""Tests of the layers of a network before they are drawn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.cli.network_diagram import network_path

from .conftest import mlp


def test_the_path_of_a_memory(aer_calls):
    quantum = ho.to_quantum(mlp(), "memory", executor=ho.AerExecutor(shots=50))
    path = network_path(quantum)
    assert path.title == "Sequential in the bridge memory"
    assert path.input_shape == (4,)
    assert [(s.name, s.kind, s.shape, s.where) for s in path.steps] == [
        ("0", "Linear", (5,), "made"),
        ("1", "Tanh", (5,), "classical"),
        ("2", "Linear", (3,), "made"),
    ]
    assert path.source == (
        "memory circuit: 7 qubits, 64 angles, 2 settings per training step, 50 shots each"
    )
    assert path.circuit == quantum.circuit(synthesis="gates")
    assert aer_calls == []


def test_the_path_of_a_mesh():
    conv = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    path = network_path(ho.to_quantum(conv, ho.bridges.Mesh(keep_classical=("3",))))
    assert [s.where for s in path.steps] == ["circuit", "classical", "classical", "classical"]
    assert path.steps[0].facts == ("7 qubits", "10 angles")
    assert path.input_shape is None  # the size of the image is unknown
    assert path.source is None
    assert path.caption == "Circuit of layer 0: 7 qubits"


def test_the_path_of_a_module_with_circuits():
    module = nn.Sequential(ho.to_quantum(nn.Linear(6, 4), "generator"), ho.DressedCircuit(4, 2))
    path = network_path(module)
    names = ["0", "1.pre", "1.layer", "1.post"]
    assert [(s.name, s.where) for s in path.steps] == list(
        zip(names, ["made", "classical", "circuit", "classical"], strict=True)
    )
    assert path.steps[2].facts == ("4 qubits", "12 weights", "1 setting per sample")
    assert "largest of 2" in path.caption


@pytest.mark.parametrize("bridge", ["twin", "random-subspace", "mesh-twin"])
def test_the_path_of_a_control(bridge):
    chosen = ho.bridges.Twin(of=ho.bridges.Mesh()) if bridge == "mesh-twin" else bridge
    path = network_path(ho.to_quantum(mlp(), chosen))
    assert [s.where for s in path.steps] == ["formula", "classical", "formula"]
    assert path.circuit is None
    assert path.title.startswith("Sequential in the control")


def test_user_defined_and_single_layers_are_shown():
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(3))
            self.body = nn.Linear(3, 3)

        def forward(self, x):
            return self.gain * self.body(x)

    path = network_path(ho.to_quantum(nn.Sequential(nn.Linear(2, 3), Head()), "memory"))
    assert [(s.name, s.kind, s.where) for s in path.steps] == [
        ("0", "Linear", "made"), ("1", "Head", "made"),
    ]  # fmt: skip
    assert [s.name for s in network_path(ho.to_quantum(nn.Linear(3, 2), "memory")).steps] == [""]
