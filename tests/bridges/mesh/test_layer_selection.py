"""Layers that become meshes, and layers that stay classical."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import hybridopt as ho
from hybridopt.bridges import Mesh
from hybridopt.errors import ConversionError, ResourceError
from tests.bridges.networks import RECIPES

CONVERTED = ["linear", "mlp", "mlp-double", "mlp-eval", "convolution", "convolution-eval", "twice",
           "frozen"]  # fmt: skip


@pytest.mark.parametrize("name", CONVERTED)
def test_outputs_and_gradients_are_those_of_the_network(name):
    case = RECIPES[name]()
    kept = ["4"] if "convolution" in name else []  # a head of 17 columns would be slow
    quantum = ho.to_quantum(case.network, Mesh(keep_classical=kept), gradient="adjoint")
    case.x.requires_grad_()
    results = []
    for network in (quantum, case.network):
        outputs = case.outputs(network)
        results.append((outputs, *torch.autograd.grad(outputs.square().sum(), case.x)))
    torch.testing.assert_close(*results, rtol=0, atol=case.precision)


def test_frozen_weights_and_biases_stay_classical():
    network = RECIPES["frozen"]().network
    quantum = ho.to_quantum(network, "mesh")
    assert list(quantum.layers) == ["2"]  # the weight of the other layer is frozen
    assert quantum.num_angles == network[2].weight.numel()
    assert torch.equal(quantum.layers["2"].plain.bias, network[2].bias)


def test_shared_layer_stays_shared():
    quantum = ho.to_quantum(RECIPES["twice"]().network, "mesh")
    assert quantum.network.first is quantum.network.second
    classical = ho.to_classical(quantum)
    assert classical.first is classical.second


def test_zeros_become_angles_with_a_gradient():
    network = nn.Linear(3, 2).double()
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    quantum = ho.to_quantum(network, "mesh", gradient="adjoint")
    assert quantum.layers[""].alphas.item() == 6
    quantum(torch.ones(1, 3).double()).sum().backward()
    assert quantum.layers[""].angles.grad.abs().max() > 0.1
    torch.testing.assert_close(
        ho.to_classical(quantum).state_dict(), network.state_dict(), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize(
    ("factor", "scale", "alpha"),
    [(0.0, "auto", 6.0), (0.1, "auto", 6.0), (100.0, "auto", 300.0), (0.1, 2, 0.2)],
)
def test_scale_is_the_ratio_of_alpha_to_the_spectral_norm(factor, scale, alpha):
    network = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        network.weight.copy_(factor * torch.eye(3))
    (layer,) = ho.to_quantum(network, "mesh", scale=scale).layers.values()
    assert layer.alphas.item() == pytest.approx(alpha)


def test_containers_are_kept_with_all_their_parts():
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), nn.Linear(2, 2))
    quantum = ho.to_quantum(network, "mesh", keep_classical=["0"])
    assert list(quantum.layers) == ["1"]
    assert sum(p.numel() for p in quantum.parameters()) == 23


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(1, 1, 2), nn.Conv3d(1, 1, 2), nn.ConvTranspose2d(1, 1, 2), nn.Bilinear(2, 2, 2),
     nn.GRUCell(2, 2), nn.RNN(2, 2)],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_other_matrix_products_must_stay_classical(layer):
    network = nn.Sequential(nn.Linear(2, 2), layer)
    with pytest.raises(ConversionError, match=f"`1` .*{type(layer).__name__}"):
        ho.to_quantum(network, "mesh")
    assert list(ho.to_quantum(network, "mesh", keep_classical=["1"]).layers) == ["0"]
    layer.requires_grad_(False)
    assert list(ho.to_quantum(network, "mesh").layers) == ["0"]


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Named(nn.Linear):
    """Subclass with the same forward."""


def test_subclasses_must_have_the_plain_forward():
    assert type(ho.to_classical(ho.to_quantum(Named(2, 2), "mesh"))) is Named
    with pytest.raises(ConversionError, match="Doubled"):
        ho.to_quantum(Doubled(2, 2), "mesh")


@pytest.mark.parametrize("mode", [True, False])
def test_transformers_are_converted_around_their_attention(mode):
    case = RECIPES["attention"]()
    network = case.network.train(mode)
    quantum = ho.to_quantum(
        network, "mesh", keep_classical=["body.self_attn"], gradient="adjoint", readout="process"
    )
    with torch.no_grad():
        outputs = case.outputs(quantum)
        torch.testing.assert_close(outputs, case.outputs(network), rtol=0, atol=1e-5)
    assert quantum.executor.usage.settings == 5 + 6 + 5
    assert vars(ho.to_classical(quantum).body).keys() == vars(network.body).keys()
    assert ho.to_classical(quantum).body.activation_relu_or_gelu == 1


def test_wide_layers_are_named_before_a_run(aer_calls):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 4000))
    with pytest.raises(ResourceError, match=r"`1`.* 4003 .*keep_classical=\['1'\]"):
        ho.to_quantum(network, "mesh")
    assert ho.to_quantum(network, "mesh", keep_classical=["1"]).num_qubits == 5
    assert aer_calls == []


def test_parametrized_layers_can_be_kept():
    network = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    quantum = ho.to_quantum(network, "mesh", keep_classical=["0"])
    x = torch.randn(2, 3)
    torch.testing.assert_close(quantum(x), network(x))
