"""The packaged circuits load and agree with their page."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from qiskit import qasm3
from qiskit.quantum_info import Operator, Statevector

import hybridopt as ho
from hybridopt.bridges.memory.circuit import split_probabilities
from hybridopt.circuits import circuit_names

FOLDER = Path(__file__).parents[2] / "circuits"
FILES = sorted(FOLDER.glob("*.qasm"))
NAMES = circuit_names()
README = (FOLDER / "README.md").read_text("utf-8")
DRAW = runpy.run_path(str(FOLDER / "draw.py"))
SCALES = (1.6349, 1.1694)  # of weights and biases, from circuits/README.md
LARGEST_PICTURE = 60_000  # bytes


def bound(loaded):
    """Return the circuit with random angles."""
    given = (*loaded.input_parameters, *loaded.weight_parameters)
    values = np.random.default_rng(len(given)).uniform(-np.pi, np.pi, len(given))
    return loaded.circuit.assign_parameters(dict(zip(given, values, strict=True)))


def test_there_are_circuits():
    assert len(FILES) >= 12
    assert [path.stem for path in FILES] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_page_describes_the_circuit(name):
    circuit, inputs, weights, _ = ho.load_circuit(name)
    (row,) = [line for line in README.splitlines() if line.startswith(f"| [{name}.qasm]")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == f"[{name}.qasm]({name}.qasm)"
    counts = [circuit.num_qubits, len(inputs), len(weights)]
    assert cells[1:4] == list(map(str, counts))
    assert row == DRAW["table_row"](name)
    assert all(cells)
    assert f"(pictures/{name}.png)" in README
    picture = FOLDER / "pictures" / f"{name}.png"
    assert picture.stat().st_size < LARGEST_PICTURE
    with Image.open(picture) as image:
        assert min(image.size) > 100


def test_page_is_the_output_of_draw():
    assert DRAW["generated_part"](NAMES) in README
    assert sorted(path.stem for path in (FOLDER / "pictures").iterdir()) == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_qiskit_reads_the_same(path):
    loaded = ho.load_circuit(path)
    circuit = qasm3.loads(path.read_text("utf-8"))
    names = sorted(p.name for p in circuit.parameters)
    assert names == sorted(p.name for p in (*loaded.input_parameters, *loaded.weight_parameters))
    values = dict(zip(names, np.random.default_rng(3).uniform(-3, 3, len(names)), strict=True))
    states = [Statevector(item.assign_parameters(values)) for item in (circuit, loaded.circuit)]
    assert states[0].equiv(states[1])


@pytest.mark.parametrize("name", NAMES)
def test_loading_saving_loading(name, tmp_path):
    loaded = ho.load_circuit(name)
    again = ho.load_circuit(ho.save_circuit(tmp_path / f"{name}.qasm", *loaded))
    assert Operator(bound(loaded)).equiv(Operator(bound(again)))
    for first, second in zip(loaded[1:3], again[1:3], strict=True):
        assert [p.name for p in first] == [p.name for p in second]
    assert again.observables == loaded.observables
    layers = [ho.CircuitLayer(*item) for item in (loaded, again)]
    assert layers[0].program.shifts == layers[1].program.shifts  # as many settings


def test_iris_circuit_classifies_iris():
    circuit = ho.load_circuit("memory_bridge_iris").circuit
    cosines = split_probabilities(Statevector(circuit).probabilities())
    weight = torch.tensor(SCALES[0] * cosines[:12].reshape(3, 4), dtype=torch.float32)
    bias = torch.tensor(SCALES[1] * cosines[12:15], dtype=torch.float32)
    data = ho.load_dataset("iris", seed=0)
    right = (data.train.x @ weight.T + bias).argmax(1) == data.train.y
    assert right.float().mean() > 0.85
    assert np.isclose(cosines[15], 0, atol=1e-9)


def test_the_example_of_the_page_runs(tmp_path):
    text = README.split("## A file of your own")[1].split("```")[1]
    (tmp_path / "mine.qasm").write_text(text, "utf-8")
    layer = ho.CircuitLayer(*ho.load_circuit(tmp_path / "mine.qasm"))
    assert layer(torch.rand(5, 2)).shape == (5, 2)
