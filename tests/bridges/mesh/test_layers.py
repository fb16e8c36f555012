"""Mesh layers, compared with the plain layers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Mesh, MeshNetwork
from hybridopt.errors import ArgumentError, ArgumentTypeError, LayerAttributeError

CONVOLUTIONS = {
    "plain": nn.Conv2d(1, 2, 2),
    "stride": nn.Conv2d(1, 2, (2, 1), stride=(2, 3), bias=False),
    "padding": nn.Conv2d(1, 2, 2, padding=(1, 2)),
    "same": nn.Conv2d(1, 1, (1, 3), padding="same"),
    "valid": nn.Conv2d(1, 1, 2, padding="valid"),
    "reflect": nn.Conv2d(1, 1, 2, padding=1, padding_mode="reflect"),
    "circular": nn.Conv2d(1, 1, 2, padding=(1, 0), padding_mode="circular"),
    "dilation": nn.Conv2d(1, 2, 2, dilation=(2, 3), padding=1),
    "groups": nn.Conv2d(2, 4, (1, 2), groups=2),
    "depthwise": nn.Conv2d(3, 3, 2, groups=3, bias=False),
    "everything": nn.Conv2d(2, 2, 2, 2, padding="valid", dilation=2, groups=2),
}


def quantum_of(layer: nn.Module, **options) -> MeshNetwork:
    return ho.to_quantum(layer, "mesh", gradient="adjoint", **options)


def trained(quantum: MeshNetwork) -> MeshNetwork:
    """Return the network at other angles than the initial ones."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in quantum.layers.values():
            layer.angles += torch.randn(layer.angles.shape, generator=generator).double()
    return quantum


@pytest.mark.parametrize("readout", ["process", "data"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_every_kind(name, readout):
    layer = copy.deepcopy(CONVOLUTIONS[name]).double()
    quantum = trained(quantum_of(layer, readout=readout))
    classical = ho.to_classical(quantum)
    assert classical(torch.ones(1, layer.in_channels, 5, 6).double()).abs().max() > 0
    batch = torch.randn(2, layer.in_channels, 5, 6, dtype=torch.float64, requires_grad=True)
    for x in (batch, batch[0], batch[:0]):
        outputs, expected = quantum(x), classical(x)
        torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
        pair = [torch.autograd.grad(y.square().sum(), x)[0] for y in (outputs, expected)]
        torch.testing.assert_close(*pair, rtol=0, atol=1e-12)


@pytest.mark.parametrize("readout", ["auto", "process", "data", "reference"])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 1, 2, 3), (0, 3), (2, 0, 3)])
def test_linear_layers_take_any_leading_shape(shape, readout):
    layer = nn.Linear(3, 2).double()
    quantum = trained(quantum_of(layer, readout=readout))
    x = torch.randn(shape, dtype=torch.float64)
    outputs = quantum(x)
    assert outputs.shape == (*shape[:-1], 2)
    torch.testing.assert_close(outputs, ho.to_classical(quantum)(x), rtol=0, atol=1e-12)
    outputs.sum().backward()


@pytest.mark.parametrize("readout", ["process", "data"])
def test_frozen_biases_are_added(readout):
    layer = nn.Conv2d(2, 4, 1, groups=2).double()
    layer.bias.requires_grad_(False)
    quantum = quantum_of(layer, readout=readout)
    x = torch.randn(1, 2, 2, 2).double()
    torch.testing.assert_close(quantum(x), layer(x), rtol=0, atol=1e-13)
    assert quantum.num_angles == 4


@pytest.mark.parametrize("readout", ["process", "data"])
def test_autocast_applies_to_meshes(readout, aer_calls):
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    quantum = quantum_of(network, keep_classical=["0"], readout=readout)
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert quantum.network[0](x).dtype is torch.bfloat16
        # sums of four numbers below 1.5, each rounded to 8 bits
        torch.testing.assert_close(
            quantum(x).float(), network(x).float(), rtol=0, atol=4 * 1.5 * 2**-8
        )
        aer_calls.clear()
        for refused in (x.double(), x.long()):
            with pytest.raises(ArgumentTypeError, match=r"`x` .*torch.float32"):
                quantum.layers["1"](refused)
    assert aer_calls == []


@pytest.mark.parametrize("readout", ["auto", "process", "data", "reference"])
def test_meta_device_gives_shapes(readout, aer_calls):
    for layer, x in ((nn.Linear(3, 2), torch.ones(4, 3)),
                     (CONVOLUTIONS["groups"], torch.ones(2, 2, 3, 3))):  # fmt: skip
        quantum = quantum_of(copy.deepcopy(layer), readout=readout).to("meta")
        outputs = quantum(x.to("meta"))
        assert (outputs.shape, outputs.dtype) == (layer(x).shape, torch.float32)
        outputs.sum().backward()
        assert all(p.grad.is_meta for p in quantum.parameters())
    assert aer_calls == []


@pytest.mark.parametrize("readout", ["process", "data"])
def test_hooks_are_called(readout):
    layer, seen = nn.Linear(3, 2), []
    layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    layer.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    quantum = quantum_of(layer, readout=readout)
    x = torch.randn(4, 3)
    torch.testing.assert_close(quantum(x), layer(x), rtol=0, atol=1e-5)
    ho.to_classical(quantum)(x)
    assert seen == [(4, 2)] * 3


def test_eval_mode_reads_once_per_change_of_the_angles(aer_calls):
    quantum = quantum_of(nn.Linear(3, 2), readout="process").eval()
    x = torch.randn(5, 3)
    first = quantum(x)
    assert quantum.executor.usage.settings == 4
    with torch.no_grad():
        assert torch.equal(quantum(x), first)
    assert quantum.executor.usage.settings == 4
    first.sum().backward()  # cached values are differentiable
    assert quantum.layers[""].angles.grad.abs().max() > 0
    trained(quantum)
    assert not torch.equal(quantum(x), first)
    assert quantum.executor.usage.settings == 8
    quantum.executor = ho.AerExecutor()
    quantum(x)
    assert quantum.executor.usage.settings == 4
    quantum.train()
    for _ in range(3):
        quantum(x)
    assert quantum.executor.usage.settings == 16


def test_copies_and_pickles_compute_the_same():
    quantum = trained(quantum_of(CONVOLUTIONS["groups"], readout="process").eval())
    x = torch.randn(1, 2, 2, 2)
    expected = quantum(x)
    copied = copy.deepcopy(quantum)
    assert copied.executor is quantum.executor
    for other in (copied, pickle.loads(pickle.dumps(quantum))):
        assert torch.equal(other(x), expected)
    trained(copied)
    assert torch.equal(quantum(x), expected)


@pytest.mark.parametrize("readout", ["process", "data", "reference"])
def test_rows_of_zeros_have_the_matrix_as_gradient(readout):
    layer = nn.Linear(3, 2, bias=False).double()
    quantum = quantum_of(layer, readout=readout)
    x = torch.zeros(2, 3).double().requires_grad_()
    outputs = quantum(x)
    assert torch.equal(outputs, torch.zeros(2, 2).double())
    outputs.sum().backward()
    expected = layer.weight.detach().sum(0).expand(2, 3)
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-10)


def test_repr_shows_the_mesh_and_the_plain_layer():
    layer = ho.to_quantum(nn.Linear(3, 2), Mesh()).layers[""]
    assert "1 mesh of 2 by 4, num_qubits=6, readout='auto'" in repr(layer)
    assert "(plain): Linear(in_features=3, out_features=2, bias=True)" in repr(layer)
    layer = quantum_of(copy.deepcopy(CONVOLUTIONS["groups"])).layers[""]
    assert "2 meshes" in repr(layer)
    assert "bias=False" not in repr(layer)


class Introspective(nn.Module):
    """Network that uses sizes of its layers, and optionally a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(1, 2, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x, *, penalty=False):
        assert self.image.kernel_size == (2, 2)
        assert self.image.out_channels == 2
        outputs = self.head(self.image(x).reshape(-1, self.head.in_features))
        return outputs + self.head.weight.sum() if penalty else outputs


def test_layers_have_sizes_but_no_weights():
    network = Introspective().double()
    quantum = ho.to_quantum(network, "mesh", gradient="adjoint")
    x = torch.randn(4, 1, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(quantum(x), network(x), rtol=0, atol=1e-12)
    with pytest.raises(LayerAttributeError, match=r"`weight` .*`keep_classical"):
        quantum(x, penalty=True)
    assert not hasattr(quantum.layers["head"], "bias")
    assert not hasattr(quantum.layers["head"], "no_such_thing")


def test_dressed_circuit_in_the_network_computes_the_same():
    network = nn.Sequential(nn.Linear(3, 3), ho.DressedCircuit(3, 2, num_qubits=3, depth=1))
    quantum = ho.to_quantum(network, "mesh")
    x = torch.randn(2, 3)
    torch.testing.assert_close(quantum(x), network(x), rtol=0, atol=1e-5)


UNFIT = [
    (nn.Linear(3, 2), torch.ones(4, 5), ArgumentError, r"`x` .*\(4, 5\)\)\. .*reduction dim"),
    (nn.Linear(3, 2), torch.ones(()), ArgumentError, r"`x` .*\(\)"),
    (nn.Linear(3, 2), torch.ones(2, 3, 1), ArgumentError, r"`x` .*\(2, 3, 1\)"),
    (nn.Conv2d(1, 2, 3), torch.ones(1, 1, 2, 2), ArgumentError, r"`x` .*\(1, 1, 2, 2\)"),
    (nn.Linear(3, 2), torch.ones(4, 3).double(), ArgumentTypeError, "`x` .*torch.float64"),
    (nn.Linear(3, 2), torch.ones(4, 3).long(), ArgumentTypeError, "`x` .*torch.int64"),
    (nn.Linear(3, 2), [1.0, 2.0, 3.0], ArgumentTypeError, "`x` .*list"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize("readout", ["process", "data"])
@pytest.mark.parametrize(("layer", "x", "error", "message"), UNFIT)
def test_unfit_inputs_are_rejected_before_a_run(layer, x, error, message, readout, aer_calls):
    with pytest.raises(error, match=message):
        quantum_of(layer, readout=readout)(x)
    assert aer_calls == []
