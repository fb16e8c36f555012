"""Conversion of networks with circuit layers to torch."""

from __future__ import annotations

import copy

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import real_amplitudes
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, CircuitLayer, DressedCircuit
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ConversionError
from hybridopt.nn import DressedSurrogate, FourierSeries


def layer_of(num_qubits: int = 3, factor: float = 1, **options) -> CircuitLayer:
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits)
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(factor * x[qubit], qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(num_qubits):
        circuit.rx(w[qubit], qubit)
    observables = ["I" * (num_qubits - 1 - q) + "Z" + "I" * q for q in range(num_qubits)]
    return CircuitLayer(circuit, x, w, observables, **options)


def has_circuits(network: nn.Module) -> bool:
    return any(
        isinstance(m, CircuitLayer | DressedCircuit | ho.QuantumNetwork) for m in network.modules()
    )


class Branches(nn.Module):
    """Network with layers in a list, one of them twice, and one in a plain Python list."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 3)
        shared = layer_of()
        self.branches = nn.ModuleList([shared, layer_of(factor=2), shared])
        self.head = DressedCircuit(9, 2, 3, 1)
        self.favourites = [shared]

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        return self.head(torch.cat([branch(x) for branch in self.branches], dim=-1))


def test_converted_circuits_can_be_trained():
    torch.manual_seed(0)
    network = Branches().double()
    before = copy.deepcopy(network.state_dict())
    classical = ho.to_classical(network)
    assert type(classical) is Branches
    assert not has_circuits(classical)
    assert has_circuits(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert classical.branches[0] is classical.branches[2] is classical.favourites[0]
    assert type(classical.branches[1]) is FourierSeries
    assert type(classical.head) is DressedSurrogate
    x = 3 * torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(classical(x), network(x), rtol=0, atol=1e-12)
    history = ho.fit(classical, (x, torch.tensor([0, 1, 0, 1, 1, 0])), lr=0.01, epochs=30)
    assert history.train_loss[-1] < history.train_loss[0]


def test_layer_can_be_the_whole_network():
    layer = layer_of()
    assert type(ho.to_classical(layer)) is FourierSeries
    assert type(ho.to_classical(nn.Sequential(layer))[0]) is FourierSeries


def test_layers_next_to_quantum_networks():
    torch.manual_seed(1)
    body = ho.to_quantum(nn.Linear(4, 3))
    network = nn.Sequential(body, layer_of(), nn.Linear(3, 2))
    classical = ho.to_classical(network)
    assert [type(m) for m in classical] == [nn.Linear, FourierSeries, nn.Linear]
    x = torch.randn(5, 4)
    torch.testing.assert_close(classical(x), network(x), rtol=0, atol=1e-5)


def test_subclass_keeps_its_forward():
    class Doubled(DressedCircuit):
        def forward(self, x):
            return 2 * super().forward(x)

    head = Doubled(2, 2, 3, 1).double()
    classical = ho.to_classical(head)
    x = torch.randn(4, 2, dtype=torch.float64)
    assert type(classical.layer) is FourierSeries
    torch.testing.assert_close(classical(x), head(x), rtol=0, atol=1e-12)


def qnn_circuit() -> tuple[QuantumCircuit, list[Parameter], list[Parameter]]:
    x, ansatz = ParameterVector("x", 3), real_amplitudes(3, reps=1)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.h(qubit)
        circuit.rz(2 * x[qubit], qubit)
    return circuit.compose(ansatz), list(x), list(ansatz.parameters)


@pytest.mark.parametrize("kind", ["estimator", "sampler", "interpreted"])
def test_qnn_of_qiskit_machine_learning(kind):
    circuit, inputs, weights = qnn_circuit()
    given = {"circuit": circuit, "input_params": inputs, "weight_params": weights}
    if kind == "estimator":
        qnn = EstimatorQNN(**given)
    elif kind == "sampler":
        qnn = SamplerQNN(**given)
    else:
        qnn = SamplerQNN(
            **given, interpret=lambda k: (k % 2, k.bit_count() % 3), output_shape=(2, 3)
        )
    layer = ho.from_qnn(qnn)
    classical = ho.to_classical(layer)
    x = 7 * torch.randn(4, 3, dtype=torch.float64)
    assert type(classical) is FourierSeries
    torch.testing.assert_close(classical(x).detach(), layer(x).detach(), rtol=0, atol=1e-12)


def test_every_layer_is_checked_before_a_run(aer_calls):
    network = nn.Sequential(layer_of(), nn.Sequential(nn.Linear(3, 3), layer_of(factor=2.5)))
    with pytest.raises(ConversionError, match=r"`1\.1`"):
        ho.to_classical(network)
    network = nn.Sequential(layer_of(), layer_of(executor=AerExecutor(shots=100)))
    with pytest.raises(ConversionError, match=r"`1`.* 100"):
        ho.to_classical(network)
    with pytest.raises(ConversionError, match="CircuitLayer"):
        ho.to_classical(layer_of(factor=0.5))
    assert not aer_calls


def test_readout_by_circuit_uses_shots():
    executor = AerExecutor(shots=50, seed=1)
    classical = ho.to_classical(layer_of(executor=executor), readout="circuit")
    assert type(classical) is FourierSeries
    assert executor.usage.shots == 27 * 50


def test_copy_without_quantum_networks_keeps_circuit_layers(aer_calls):
    network = nn.Sequential(ho.to_quantum(nn.Linear(4, 3)), layer_of(factor=2.5))
    copied = without_quantum_networks(network)
    assert [type(m) for m in copied] == [nn.Linear, CircuitLayer]
    assert copied[1] is not network[1]
    assert not aer_calls


def test_fit_does_not_read_coefficients_to_check_shapes():
    executor = AerExecutor()
    network = nn.Sequential(nn.Embedding(5, 3), layer_of(executor=executor), nn.Flatten(0, 1))
    ho.fit(network, (torch.tensor([[0], [3]]), torch.zeros(2, 3)), epochs=0)
    assert executor.usage.settings < 27
