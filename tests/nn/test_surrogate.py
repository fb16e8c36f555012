"""Torch forms of circuit layers against the circuits, for every family of gates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn.utils import parametrize, prune

from hybridopt import AerExecutor, CircuitLayer, DressedCircuit, to_classical
from hybridopt.errors import ConversionError, ResourceError
from hybridopt.execution import Probabilities
from hybridopt.nn import DressedSurrogate, FourierSeries
from hybridopt.nn import surrogate as surrogates
from hybridopt.nn.surrogate import check_surrogate, surrogate
from tests.circuits.families import FAMILIES
from tests.nn.layers import layer_of

REFUSED = {  # family name and the part of the message about its angle
    "doubly_controlled_rotations": "0.5",
    "evolutions": "0.6",
    "nested_definitions": "fixed integer",
    "expressions": "fixed integer",
    "feature_map_and_ansatz": "fixed integer",
    "no_weights": "fixed integer",
}


def far(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return points far outside one period."""
    generator = torch.Generator().manual_seed(seed)
    return 60 * torch.rand(*shape, dtype=torch.float64, generator=generator) - 30


def plain(module, *, sampled: bool = False):
    check_surrogate(module, "The layer", sampled=sampled)
    return surrogate(module)


@pytest.mark.parametrize("circuits", FAMILIES, ids=lambda family: family.name)
def test_family_is_exact_or_refused(circuits, aer_calls):
    layer = layer_of(circuits)
    if circuits.name in REFUSED:
        with pytest.raises(ConversionError, match=REFUSED[circuits.name]):
            plain(layer)
        assert not aer_calls
        return
    series, x = plain(layer), far(7, layer.in_features)
    assert type(series) is FourierSeries
    runs = len(aer_calls)
    outputs = series(x).detach()
    assert len(aer_calls) == runs
    # angles of size 60 have an error of 1e-14, times frequencies below 20
    expected = circuits.expectations(x.numpy(), layer.weight.detach().numpy())
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("readout", [None, Probabilities(qubits=(2, 0))], ids=str)
def test_probabilities(readout):
    x = ParameterVector("x", 2)
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.rx(x[0] + 0.3, 0)
    circuit.crx(x[1], 0, 1)
    circuit.cry(-x[0], 1, 2)
    layer = CircuitLayer(circuit, x, (), readout)
    series, rows = plain(layer), far(5, 2)
    torch.testing.assert_close(series(rows).detach(), layer(rows), rtol=0, atol=1e-13)
    assert series.coefficients.requires_grad
    assert series.coefficients.dtype == torch.float64
    assert series.coefficients.shape[0] == 9 * 5  # orders 4 and 2, step 1/2


def test_noise_without_shots_is_included_exactly():
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["ry", "h"])
    executor = AerExecutor(noise_model=noise)
    layer = DressedCircuit(2, 2, 3, 2, executor=executor).layer
    series, x = plain(layer), far(4, 3)
    torch.testing.assert_close(series(x).detach(), layer(x).detach(), rtol=0, atol=1e-13)
    exact = CircuitLayer(
        layer.circuit, layer.input_parameters, layer.weight_parameters, layer.readout
    )
    exact.load_state_dict(layer.state_dict())
    assert (series(x) - exact(x)).abs().max() > 0.01


def test_dressed_circuit_equals_its_surrogate():
    torch.manual_seed(4)
    head = DressedCircuit(6, 3, 4, 3).double()
    classical, x = plain(head), far(9, 6)
    assert type(classical) is DressedSurrogate
    assert classical.layer.coefficients.shape == (81, 4)
    torch.testing.assert_close(classical(x), head(x), rtol=0, atol=1e-12)
    inputs = x.clone().requires_grad_(), x.clone().requires_grad_()
    for module, rows in zip((classical, head), inputs, strict=True):
        module(rows).sin().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-11)
    torch.testing.assert_close(classical.pre.weight.grad, head.pre.weight.grad, rtol=0, atol=1e-11)
    assert classical.pre.weight is not head.pre.weight


def test_closed_form_with_one_setting_per_coefficient():
    """RY(x_q) on all qubits, then CX(0, 1) and CX(1, 2): <Z_q> is a product of cosines."""
    x = ParameterVector("x", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    layer = CircuitLayer(circuit, x, (), ["IIZ", "IZI", "ZII"])
    series = plain(layer)
    assert layer.executor.usage.settings == 27
    expected = torch.zeros(27, 3, dtype=torch.float64)
    cos, one = 2, 0  # index in (1, sin, cos)
    expected[(cos * 3 + one) * 3 + one, 0] = 1
    expected[(cos * 3 + cos) * 3 + one, 1] = 1
    expected[(cos * 3 + cos) * 3 + cos, 2] = 1
    torch.testing.assert_close(series.coefficients.detach(), expected, rtol=0, atol=1e-15)


def test_dtype_mode_and_frozen_weights_are_kept():
    head = DressedCircuit(2, 2, 3, 1, frozen=True).eval()
    classical = plain(head)
    assert {p.dtype for p in classical.parameters()} == {torch.float32}
    assert not classical.layer.coefficients.requires_grad
    assert classical.pre.weight.requires_grad
    assert not classical.training
    assert not classical.layer.training
    x = torch.rand(5, 2)
    torch.testing.assert_close(classical(x), head(x), rtol=0, atol=1e-5)
    assert plain(DressedCircuit(2, 2, 3, 1)).layer.coefficients.requires_grad


def test_sampled_coefficients_are_near_the_exact_ones():
    torch.manual_seed(2)
    layer = DressedCircuit(2, 2, 3, 1).layer
    exact = plain(layer).coefficients.detach()
    layer.executor = AerExecutor(shots=400, seed=5)
    noisy = plain(layer, sampled=True).coefficients.detach()
    # mean of 27 values with factors up to 2^3; each value has a standard error of 1 / sqrt(400)
    assert 0 < (noisy - exact).abs().max() < 5 * math.sqrt(8 / 27 / 400)


def test_split_grid_gives_the_same_coefficients(monkeypatch):
    layer = DressedCircuit(2, 2, 3, 1).layer
    whole = plain(layer).coefficients
    monkeypatch.setattr(surrogates, "POINTS_PER_CALL", 10)
    torch.testing.assert_close(plain(layer).coefficients, whole, rtol=0, atol=1e-15)


class Squared(CircuitLayer):
    def forward(self, x):
        return super().forward(x) ** 2


def many_inputs(count: int) -> QuantumCircuit:
    circuit = QuantumCircuit(count)
    for qubit in range(count):
        circuit.ry(Parameter(f"x{qubit:02}"), qubit)
    return circuit


def test_subclass_with_its_own_forward_is_refused():
    circuit = many_inputs(1)
    with pytest.raises(ConversionError, match=r"The layer .*Squared.*`forward`"):
        plain(Squared(circuit, circuit.parameters, (), ["Z"]))


def test_too_many_coefficients_are_refused(aer_calls):
    circuit = many_inputs(14)
    layer = CircuitLayer(circuit, circuit.parameters, (), ["Z" * 14])
    with pytest.raises(ResourceError, match=r"The layer .*4,782,969 .*4,194,304"):
        plain(layer)
    assert not aer_calls


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: setattr(layer, "executor", AerExecutor(shots=7)), "7 shots"),
        (lambda layer: layer.weight.data.fill_(math.nan), "NaN"),
        (lambda layer: layer.to("meta"), "meta device"),
        (lambda layer: setattr(layer, "readout", Probabilities((0,), given=((2, 0),))), "`given`"),
    ],
)
def test_refused_before_a_circuit_runs(change, message, aer_calls):
    layer = DressedCircuit(2, 2, 3, 1).layer
    change(layer)
    with pytest.raises(ConversionError, match=f"The layer .*{message}"):
        plain(layer)
    assert not aer_calls


def masked_gradient(layer: CircuitLayer) -> None:
    layer.weight.register_hook(lambda gradient: 0 * gradient)


@pytest.mark.parametrize(
    "change",
    [
        masked_gradient,
        lambda layer: prune.l1_unstructured(layer, "weight", 1),
        lambda layer: parametrize.register_parametrization(layer, "weight", nn.Tanh()),
        lambda layer: layer.weight.register_post_accumulate_grad_hook(print),
    ],
    ids=["gradient hook", "pruned", "parametrized", "accumulation hook"],
)
def test_structure_of_weights_is_refused(change, aer_calls):
    head = DressedCircuit(3, 2, num_qubits=2, depth=1)
    change(head.layer)
    with pytest.raises(ConversionError, match=r"The layer .*weight"):
        plain(head)
    assert aer_calls == []


def test_hooks_and_pruned_linear_layers_are_kept():
    head = DressedCircuit(3, 2, num_qubits=2, depth=1)
    prune.random_unstructured(head.pre, "weight", 0.5)
    head.post.weight.register_hook(lambda gradient: 2 * gradient)
    head.layer.register_forward_hook(lambda layer, x, y: 2 * y)
    head.register_forward_hook(lambda module, x, y: y + 1)
    series, x = plain(head), torch.randn(4, 3)
    torch.testing.assert_close(series(x), head(x), rtol=0, atol=1e-5)
    assert torch.equal(series.pre.weight == 0, head.pre.weight == 0)
    for one in (series, head):
        one(x).sum().backward()
    torch.testing.assert_close(series.post.weight.grad, head.post.weight.grad, rtol=0, atol=1e-5)


def test_shared_weights_are_refused(aer_calls):
    first, second = (DressedCircuit(2, 2, depth=1) for _ in range(2))
    second.layer.weight = first.layer.weight
    with pytest.raises(ConversionError, match=r"`0`.*share .*`1.layer`"):
        to_classical(nn.Sequential(first, second))
    assert aer_calls == []
    assert to_classical(nn.Sequential(first, first))(torch.ones(1, 2)).shape == (1, 2)
