"""The circuits that are shipped load, and hold what their page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import qasm3
from qiskit.quantum_info import Statevector

import hybridopt as ho
from hybridopt.circuits.memory import split_probabilities

FOLDER = Path(__file__).parents[2] / "circuits"
FILES = sorted(FOLDER.glob("*.qasm"))
SCALES = (1.6349, 1.1694)  # of weights and biases, as circuits/README.md gives them


def test_there_are_circuits():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_stands_on_the_page(path):
    assert f"[{path.name}]({path.name})" in (FOLDER / "README.md").read_text("utf-8")


def test_iris_circuit_classifies_iris():
    circuit = qasm3.loads((FOLDER / "memory_bridge_iris.qasm").read_text("utf-8"))
    cosines = split_probabilities(Statevector(circuit).probabilities())
    weight = torch.tensor(SCALES[0] * cosines[:12].reshape(3, 4), dtype=torch.float32)
    bias = torch.tensor(SCALES[1] * cosines[12:15], dtype=torch.float32)
    data = ho.load_dataset("iris", seed=0)
    right = (data.train.x @ weight.T + bias).argmax(1) == data.train.y
    assert right.float().mean() > 0.85
    assert np.isclose(cosines[15], 0, atol=1e-9)
