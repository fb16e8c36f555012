"""Base classes, and costs and summaries of networks that contain circuit layers."""

from __future__ import annotations

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES, Bridge, Generator, Memory, Mesh, Twin
from hybridopt.execution import Cost

from .test_summary import table


def circuit_layer(**options) -> ho.CircuitLayer:
    x, w = ParameterVector("x", 3), ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
        circuit.crx(w[qubit], qubit, (qubit + 1) % 3)
    return ho.CircuitLayer(circuit, x, w, ["ZII", "IXI"], **options)


class Repeated(nn.Module):
    """Network with a circuit layer that is called twice, on several vectors per sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.middle = circuit_layer(executor=ho.AerExecutor(shots=4, seed=1))
        self.back = nn.Linear(2, 3)

    def forward(self, x):
        for _ in range(2):
            x = self.back(self.middle(x if x.shape[-1] == 3 else self.first(x)))
        return x


NETWORKS = {
    "layer first": (lambda: nn.Sequential(circuit_layer(), nn.Linear(2, 2)), (4, 3)),
    "layer last": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), circuit_layer()), (4, 4)),
    "dressed": (lambda: ho.DressedCircuit(4, 2, num_qubits=3, depth=1), (4, 4)),
    "called twice": (Repeated, (4, 2, 4)),
}
MADE = [Memory(), Generator(num_angles=4), Generator(frozen=True), Mesh(), Mesh(readout="process"),
        Twin(), Twin(of="mesh")]  # fmt: skip


def spent(network: nn.Module) -> Cost:
    executors = {id(e): e for m in network.modules() if (e := getattr(m, "executor", None))}
    return sum((executor.usage for executor in executors.values()), Cost())


@pytest.mark.parametrize("bridge", MADE, ids=repr)
@pytest.mark.parametrize("name", NETWORKS)
def test_step_cost_includes_circuit_layers(name, bridge):
    make, (batch, *shape) = NETWORKS[name]
    quantum = ho.to_quantum(make(), bridge, executor=ho.AerExecutor(shots=3, seed=1))
    quantum(torch.rand(1, *shape)).sum().backward()
    for size in (batch, 2):
        expected, before = quantum.step_cost(size), spent(quantum)
        quantum(torch.rand(size, *shape)).sum().backward()
        cost = spent(quantum) - before
        assert (cost.settings, cost.shots) == (expected.settings, expected.shots)
        assert cost.runs <= expected.runs
        assert expected.settings > 0
    assert quantum.step_cost() == quantum.step_cost(2)


@pytest.mark.parametrize("bridge", MADE, ids=repr)
@pytest.mark.parametrize("name", ["layer last", "dressed"])
def test_cost_is_known_before_the_first_pass(name, bridge, aer_calls):
    make, (batch, *shape) = NETWORKS[name]
    quantum = ho.to_quantum(make(), bridge, executor=ho.AerExecutor())
    expected = quantum.step_cost(batch)
    assert "Forward: " in quantum.explain(batch)
    assert aer_calls == []
    quantum(torch.rand(batch, *shape)).sum().backward()
    assert spent(quantum).settings == expected.settings


@pytest.mark.parametrize("bridge", MADE, ids=repr)
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_of_a_summary_add_up(name, bridge):
    make, (batch, *shape) = NETWORKS[name]
    quantum = ho.to_quantum(make(), bridge, executor=ho.AerExecutor(shots=3, seed=1))
    quantum(torch.rand(batch, *shape))
    rows = table(quantum.summary(batch_size=7))
    total, cost = rows.pop("total"), quantum.step_cost(7)
    assert any(row["kind"].startswith("CircuitLayer") for row in rows.values())
    assert (total["settings"], total["shots"]) == (f"{cost.settings:,}", f"{cost.shots:,}")
    assert total["trainable"] == f"{quantum.num_trainable:,}"
    for key in ("angles", "trainable", "settings", "shots"):
        parts = [int(row[key].replace(",", "")) for row in rows.values() if row[key]]
        assert sum(parts) == int(total[key].replace(",", ""))


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint", "spsa"])
def test_circuit_layers_and_dressed_circuits_predict_their_cost(rule):
    for module in (circuit_layer(gradient=rule),
                   ho.DressedCircuit(3, 2, num_qubits=3, depth=2, gradient=rule)):  # fmt: skip
        expected = module.step_cost(5)
        module(torch.rand(5, 3, requires_grad=True)).sum().backward()
        cost = spent(module)
        assert (cost.settings, cost.shots) == (expected.settings, expected.shots)
        assert 0 < cost.runs <= expected.runs
        assert module.step_cost() == expected
        (circuit,) = module.circuits().values()
        assert circuit.num_parameters == 3
        total = table(module.summary(batch_size=5))["total"]
        trainable = sum(parameter.numel() for parameter in module.parameters())
        assert (total["settings"], total["trainable"]) == (str(expected.settings), str(trainable))
        assert "Forward: " in module.explain(5)


class NoDecode(ho.QuantumNetwork):
    bridge_name = compute_dtype = num_weights = num_qubits = num_angles = gradient = None

    def circuit(self):
        return None


def test_base_classes_are_abstract():
    with pytest.raises(TypeError, match="abstract"):
        ho.QuantumNetwork()
    with pytest.raises(TypeError, match="decode"):
        NoDecode()
    with pytest.raises(TypeError, match="encode"):
        Bridge()


@pytest.mark.parametrize("bridge", BRIDGES)
def test_repr_shows_the_plain_layers(bridge):
    network = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3, bias=False),
                            nn.Linear(3, 3))  # fmt: skip
    quantum = ho.to_quantum(network, bridge)
    text = repr(quantum)
    for layer in network.children():
        assert repr(layer) in text
    assert text.count("bias=False") == 1
    assert quantum.bridge_name in text or bridge == "mesh"
    assert repr(quantum) == text
    head = ho.DressedCircuit(4, 2, num_qubits=3, depth=1, frozen=True)
    assert "num_qubits=3, depth=1, frozen=True" in repr(head)
    assert repr(nn.Linear(4, 3)) in repr(ho.to_quantum(head, bridge))
