"""Summaries of quantum networks, row by row."""

from __future__ import annotations

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Memory, Twin
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError

from .networks import BRIDGES, RECIPES

NUMBERS = ("qubits", "angles", "trainable", "settings", "shots", "depth", "2-qubit")


def table(text: str) -> dict[str, dict[str, str]]:
    """Return the rows by layer; cells end where their header ends."""
    title, header, *lines = text.splitlines()
    assert title
    ends = {name: header.index(name) + len(name) for name in NUMBERS}
    start = header.index("kind")
    first = header.index("qubits") - 1
    rows = {}
    for line in lines:
        name, cells = line[:start].strip(), {"kind": line[start:first].strip()}
        previous = ends["qubits"] - 7
        for column, end in ends.items():
            cells[column] = line[previous:end].strip()
            previous = end
        rows[name] = cells
        if name == "total":
            return rows
    raise AssertionError(text)


def made(bridge, network, shots=100):
    return ho.to_quantum(network, bridge, executor=ho.AerExecutor(shots=shots, seed=1))


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("name", ["mlp", "convolution", "frozen"])
def test_totals_are_those_of_the_network(name, bridge, aer_calls):
    quantum = made(bridge, RECIPES[name]().network)
    text = quantum.summary(batch_size=4)
    assert aer_calls == []
    assert all(len(line) <= 100 and line.isascii() for line in text.splitlines())
    rows = table(text)
    total = rows.pop("total")
    cost = quantum.step_cost(4)
    expected = (quantum.num_qubits, quantum.num_angles, quantum.num_trainable)
    expected = (*expected, cost.settings, cost.shots)
    assert [total[key] for key in NUMBERS[:5]] == [f"{number:,}" for number in expected]
    for key in ("angles", "trainable", "settings", "shots"):
        parts = [int(row[key].replace(",", "")) for row in rows.values() if row[key]]
        assert sum(parts) == int(total[key].replace(",", ""))


def test_every_row_of_a_memory():
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2), nn.Linear(2, 2))
    network[3].requires_grad_(False)
    quantum = made("memory", network)
    rows = table(quantum.summary())
    gates = quantum.circuit(synthesis="gates")
    assert list(rows) == ["(all)", "0", "1", "2", "3", "total"]
    assert list(rows["(all)"].values()) == [
        "memory circuit", "6", "32", "32", "2", "200", str(gates.depth()),
        str(gates.num_nonlocal_gates()),
    ]  # fmt: skip
    kinds = [rows[name]["kind"] for name in "0123"]
    by = "weights by the circuit"
    assert kinds == [f"Linear, {by}", "Tanh", f"Linear, {by}", "Linear, frozen"]
    assert "the simulator receives one multiplexer" in quantum.summary()
    assert "multiplexer" not in made(Memory(synthesis="gates"), network).summary()


@pytest.mark.wrong_types
def test_every_row_of_a_mesh():
    layers = [nn.Conv2d(2, 2, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)]
    quantum = made(ho.bridges.Mesh(keep_classical=["3"]), nn.Sequential(*layers))
    quantum(torch.rand(2, 2, 3, 3))
    rows = table(quantum.summary(batch_size=2))
    circuit = quantum.circuits()["0[1]"]
    assert list(rows) == ["0", "1", "2", "3", "total"]
    assert rows["0"]["kind"] == "mesh 1 x 5, 2 groups"
    assert rows["0"]["depth"] == str(circuit.depth())
    assert rows["0"]["2-qubit"] == str(circuit.num_nonlocal_gates())
    assert (rows["3"]["kind"], rows["3"]["trainable"]) == ("Linear", "27")


def test_controls_have_no_circuit():
    text = made(Twin(), nn.Linear(3, 2)).summary()
    assert text.startswith("twin control of Linear: no circuit")
    assert "depth and" not in text
    rows = table(text)
    assert [rows["total"][key] for key in ("qubits", "angles", "settings", "shots")] == ["0"] * 4
    assert rows["(itself)"]["kind"] == "Linear, weights by a formula"


def test_backend_changes_the_gates():
    backend = GenericBackendV2(7, coupling_map=[[i, i + 1] for i in range(6)], seed=1)
    quantum = made("memory", nn.Linear(7, 4))
    text = quantum.summary(backend)
    assert backend.name in text
    assert text == quantum.summary(backend)
    assert int(table(text)["(all)"]["2-qubit"]) > 32


def test_million_weights_are_counted_without_a_circuit():
    quantum = ho.to_quantum(nn.Linear(9_999, 100), "memory", executor=ho.AerExecutor())
    rows = table(quantum.summary())
    assert [rows["(all)"][key] for key in ("depth", "2-qubit")] == ["2,097,152", "1,048,576"]
    with pytest.raises(ResourceError, match="2,097,152"):
        quantum.summary(GenericBackendV2(21, seed=1))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backend": 3}, ArgumentTypeError, "`backend`"),
        ({"backend": GenericBackendV2(3, seed=1)}, ArgumentError, "4"),
        ({"batch_size": -1}, ArgumentError, "`batch_size`"),
    ],
)
def test_unusable_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        made("memory", nn.Linear(3, 2)).summary(**arguments)


def test_summary_is_a_text_in_notebooks(monkeypatch):
    expected = ho.to_quantum(nn.Linear(2, 2)).summary()
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert ho.to_quantum(nn.Linear(2, 2)).summary() == expected != ""
