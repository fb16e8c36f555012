"""Options of the mesh bridge, what it carries, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import hybridopt as ho
from hybridopt.bridges import Mesh
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)
from tests.bridges.networks import RECIPES

CARRIED = ["linear", "mlp", "mlp-double", "mlp-eval", "convolution", "convolution-eval", "twice",
           "frozen"]  # fmt: skip
every_network = pytest.mark.parametrize("name", CARRIED)


def bridge_for(name: str) -> Mesh:
    """The head of the convolution stays classical: 17 columns would be slow to read."""
    return Mesh(keep_classical=["4"] if "convolution" in name else [])


@every_network
def test_outputs_and_gradients_are_those_of_the_network(name):
    case = RECIPES[name]()
    quantum = ho.to_quantum(case.network, bridge_for(name), gradient="adjoint")
    case.x.requires_grad_()
    results = []
    for network in (quantum, case.network):
        outputs = case.outputs(network)
        results.append((outputs, *torch.autograd.grad(outputs.square().sum(), case.x)))
    torch.testing.assert_close(*results, rtol=0, atol=case.precision)


def test_frozen_weights_and_biases_stay_classical():
    network = RECIPES["frozen"]().network
    quantum = ho.to_quantum(network, "mesh")
    assert list(quantum.layers) == ["2"]  # the weight of the other is frozen
    assert quantum.num_angles == network[2].weight.numel()
    assert torch.equal(quantum.layers["2"].plain.bias, network[2].bias)


def test_one_layer_at_two_places_stays_one():
    quantum = ho.to_quantum(RECIPES["twice"]().network, "mesh")
    assert quantum.network.first is quantum.network.second
    classical = ho.to_classical(quantum)
    assert classical.first is classical.second


def test_zeros_become_angles_that_can_move():
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


@pytest.mark.parametrize(("factor", "alpha"), [(0.0, 6.0), (0.1, 6.0), (100.0, 300.0)])
def test_the_automatic_scale_leaves_room_to_grow(factor, alpha):
    network = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        network.weight.copy_(factor * torch.eye(3))
    (layer,) = ho.to_quantum(network, "mesh").layers.values()
    assert layer.alphas.item() == pytest.approx(alpha)


def test_the_scale_is_in_units_of_the_spectral_norm():
    network = nn.Linear(4, 3, bias=False)
    quantum = ho.to_quantum(network, "mesh", scale=2)
    expected = 2 * torch.linalg.matrix_norm(network.weight.double(), 2)
    torch.testing.assert_close(quantum.layers[""].alphas[0], expected.detach())


def test_containers_are_kept_with_all_that_is_in_them():
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
def test_other_products_with_matrices_are_refused(layer):
    network = nn.Sequential(nn.Linear(2, 2), layer)
    with pytest.raises(ConversionError, match=f"Layer `1` is of type {type(layer).__name__}"):
        ho.to_quantum(network, "mesh")
    assert list(ho.to_quantum(network, "mesh", keep_classical=["1"]).layers) == ["0"]
    layer.requires_grad_(False)
    assert list(ho.to_quantum(network, "mesh").layers) == ["0"]


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Named(nn.Linear):
    """The same layer under another name."""


def test_subclasses_are_carried_if_they_compute_the_same():
    assert type(ho.to_classical(ho.to_quantum(Named(2, 2), "mesh"))) is Named
    with pytest.raises(ConversionError, match="The network is of type Doubled, which computes"):
        ho.to_quantum(Doubled(2, 2), "mesh")


@pytest.mark.parametrize("mode", [True, False])
def test_transformers_are_carried_around_their_attention(mode):
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


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep_classical": ["9"]}, UnknownNameError, "Unknown layer in `keep_classical` '9'"),
        ({"keep_classical": "0"}, ArgumentTypeError, "must be a list or a tuple"),
        ({"keep_classical": [0]}, ArgumentTypeError, "must be names of layers, but is of type int"),
        ({"keep_classical": ["0", "2"]}, ConversionError, "has no Linear or Conv2d layer"),
        (
            {"readout": "dat"},
            UnknownNameError,
            "Unknown readout 'dat'. Did you mean 'auto' or 'data'",
        ),
        ({"scale": 0.5}, ArgumentError, "`scale` must be 1 or more"),
        ({"scale": 1e8}, ArgumentError, "`scale` must be 10000 or less"),
        ({"scale": "large"}, UnknownNameError, "Unknown scale 'large'"),
        ({"scale": None}, ArgumentTypeError, "`scale` must be a number"),
        ({"frozen": True}, UnknownNameError, "takes no keyword argument 'frozen'"),
    ],
)
def test_bad_options_are_refused(options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        ho.to_quantum(RECIPES["mlp"]().network, "mesh", **options)
    assert aer_calls == []


def test_what_does_not_fit_is_refused_with_the_layer_and_the_ways_out(aer_calls):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 4000))
    with pytest.raises(
        ResourceError,
        match=r"Layer `1`, a mesh of 4000 by 3: .* 4003 qubits, .*matrix_product_state.*"
        r"keep_classical=\['1'\]",
    ):
        ho.to_quantum(network, "mesh")
    assert ho.to_quantum(network, "mesh", keep_classical=["1"]).num_qubits == 5
    assert aer_calls == []


def test_rules_and_executors_that_do_not_go_together_are_refused():
    with pytest.raises(UnsupportedError, match="adjoint"):
        ho.to_quantum(nn.Linear(2, 2), "mesh", executor=ho.AerExecutor(shots=9), gradient="adjoint")


def test_parametrised_layers_can_be_kept():
    network = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    quantum = ho.to_quantum(network, "mesh", keep_classical=["0"])
    x = torch.randn(2, 3)
    torch.testing.assert_close(quantum(x), network(x))
