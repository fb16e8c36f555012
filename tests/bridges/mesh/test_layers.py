"""Layers as meshes, against the layers that they stand for."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

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
    """At angles that are not those of the start."""
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
def test_what_torch_refuses_is_refused_before_a_run(readout, aer_calls):
    quantum = quantum_of(nn.Linear(3, 2), readout=readout)
    with pytest.raises(ArgumentError, match="same reduction dim"):
        quantum(torch.ones(4, 2))
    for x in (torch.ones(4, 3).double(), torch.ones(4, 3).long()):
        with pytest.raises(ArgumentTypeError, match=r"are torch.float32, but its input is"):
            quantum(x)
    assert aer_calls == []


@pytest.mark.parametrize("readout", ["process", "data"])
def test_autocast_gives_a_mesh_what_other_layers_return(readout, aer_calls):
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    quantum = quantum_of(network, keep_classical=["0"], readout=readout)
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert quantum.network[0](x).dtype is torch.bfloat16
        # of sums of four numbers below 1.5, each rounded to 8 bits
        torch.testing.assert_close(
            quantum(x).float(), network(x).float(), rtol=0, atol=4 * 1.5 * 2**-8
        )
        aer_calls.clear()
        for refused in (x.double(), x.long()):
            with pytest.raises(ArgumentTypeError, match=r"are torch.float32, but its input is"):
                quantum.layers["1"](refused)
    assert aer_calls == []


@pytest.mark.parametrize("readout", ["auto", "process", "data", "reference"])
def test_shapes_alone_on_the_meta_device(readout, aer_calls):
    for layer, x in ((nn.Linear(3, 2), torch.ones(4, 3)),
                     (CONVOLUTIONS["groups"], torch.ones(2, 2, 3, 3))):  # fmt: skip
        quantum = quantum_of(copy.deepcopy(layer), readout=readout).to("meta")
        outputs = quantum(x.to("meta"))
        assert (outputs.shape, outputs.dtype) == (layer(x).shape, torch.float32)
        outputs.sum().backward()
        assert all(p.grad.is_meta for p in quantum.parameters())
    assert aer_calls == []


def test_angles_stay_double_whatever_the_network_is_cast_to():
    quantum = trained(quantum_of(nn.Linear(3, 2)))
    layer = quantum.layers[""]
    angles, alphas = layer.angles.detach().clone(), layer.alphas.clone()
    quantum(torch.ones(1, 3)).sum().backward()
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.float32):
        quantum.to(dtype)
        assert torch.equal(layer.angles, angles)
        assert torch.equal(layer.alphas, alphas)
        assert layer.angles.grad.dtype is torch.float64
        assert quantum.compute_dtype is dtype
        assert quantum(torch.ones(2, 3, dtype=dtype)).dtype is dtype
        assert ho.to_classical(quantum).weight.dtype is dtype


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


def test_matrices_are_read_once_per_change_of_the_angles_in_eval_mode(aer_calls):
    quantum = quantum_of(nn.Linear(3, 2), readout="process").eval()
    x = torch.randn(5, 3)
    first = quantum(x)
    assert quantum.executor.usage.settings == 4
    with torch.no_grad():
        assert torch.equal(quantum(x), first)
    assert quantum.executor.usage.settings == 4
    first.sum().backward()  # known values are differentiable all the same
    expected = quantum.layers[""].angles.grad.clone()
    trained(quantum)
    assert not torch.equal(quantum(x), first)
    assert quantum.executor.usage.settings == 8
    quantum.executor = ho.AerExecutor()
    quantum(x)
    assert quantum.executor.usage.settings == 4
    again = quantum_of(nn.Linear(3, 2), readout="process")
    again.load_state_dict(quantum_of(ho.to_classical(quantum), readout="process").state_dict())
    assert expected.abs().max() > 0


def test_training_reads_afresh_in_every_step():
    quantum = quantum_of(nn.Linear(3, 2), readout="process")
    for _ in range(3):
        quantum(torch.ones(1, 3))
    assert quantum.executor.usage.settings == 12


@pytest.mark.parametrize("readout", ["auto", "data"])
def test_parameters_can_be_given_from_outside(readout):
    quantum = ho.to_quantum(nn.Linear(3, 2).double(), "mesh", readout=readout)
    x = torch.randn(2, 3).double()
    angles = torch.linspace(-1, 1, 8, dtype=torch.float64)

    def loss(given: Tensor) -> Tensor:
        outputs = torch.func.functional_call(quantum, {"network.angles": given}, (x,))
        return outputs.square().mean()

    outside = torch.func.grad(loss)(angles)
    quantum.layers[""].angles.data = angles
    quantum(x).square().mean().backward()
    torch.testing.assert_close(outside, quantum.layers[""].angles.grad, rtol=0, atol=1e-12)


def test_copies_and_pickles_compute_the_same_and_share_the_executor():
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
def test_rows_of_zeros_give_the_bias_alone(readout):
    layer = nn.Linear(3, 2, bias=False).double()
    quantum = quantum_of(layer, readout=readout)
    x = torch.zeros(2, 3).double().requires_grad_()
    outputs = quantum(x)
    assert torch.equal(outputs, torch.zeros(2, 2).double())
    outputs.sum().backward()
    expected = layer.weight.detach().sum(0).expand(2, 3)  # the matrix itself
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-10)


def test_layers_explain_themselves():
    layer = ho.to_quantum(nn.Linear(3, 2), Mesh()).layers[""]
    assert layer.explain().startswith("readout data: every vector is loaded")
    assert layer.explain(100).startswith("readout process: the 4 columns")
    assert "1 mesh of 2 by 4, num_qubits=6, readout='auto'" in repr(layer)
    assert "(plain): Linear(in_features=3, out_features=2, bias=True)" in repr(layer)
    assert list(layer.circuits()) == [""]
    assert "mesh 2 x 4" in layer.summary(batch_size=3)


def test_a_convolution_knows_its_cost_from_its_first_input():
    layer = quantum_of(CONVOLUTIONS["groups"]).layers[""]
    assert layer.step_cost(2) is None
    assert "after the first forward pass" in layer.explain()
    assert "?" in layer.summary()
    layer(torch.randn(3, 2, 3, 3)).sum().backward()
    before = layer.executor.usage
    said = layer.step_cost(2)
    layer(torch.randn(2, 2, 3, 3)).sum().backward()
    spent = layer.executor.usage - before
    assert (spent.settings, spent.shots) == (said.settings, said.shots)
    assert spent.runs <= said.runs
    assert quantum_of(CONVOLUTIONS["groups"], readout="process").step_cost(2) is not None
    assert "2 meshes" in repr(layer)
    assert "bias=False" not in repr(layer)


class Introspective(nn.Module):
    """Asks its layers for their sizes, and on request for a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(1, 2, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x, *, penalty=False):
        assert self.image.kernel_size == (2, 2)
        assert self.image.out_channels == 2
        outputs = self.head(self.image(x).reshape(-1, self.head.in_features))
        return outputs + self.head.weight.sum() if penalty else outputs


def test_layers_tell_their_sizes_and_say_that_weights_are_angles():
    network = Introspective().double()
    quantum = ho.to_quantum(network, "mesh", gradient="adjoint")
    x = torch.randn(4, 1, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(quantum(x), network(x), rtol=0, atol=1e-12)
    with pytest.raises(LayerAttributeError, match=r"holds angles, no `weight`.*keep_classical"):
        quantum(x, penalty=True)
    assert not hasattr(quantum.layers["head"], "bias")
    assert not hasattr(quantum.layers["head"], "no_such_thing")


def test_a_dressed_circuit_in_the_network_finds_its_layers():
    network = nn.Sequential(nn.Linear(3, 3), ho.DressedCircuit(3, 2, num_qubits=3, depth=1))
    quantum = ho.to_quantum(network, "mesh")
    x = torch.randn(2, 3)
    torch.testing.assert_close(quantum(x), network(x), rtol=0, atol=1e-5)


@pytest.mark.wrong_types
@pytest.mark.parametrize("shape", [(4, 5), (), (2, 3, 1)], ids=str)
def test_inputs_of_the_wrong_width_are_refused_before_a_circuit_runs(shape, aer_calls):
    quantum = ho.to_quantum(nn.Linear(3, 2), "mesh")
    with pytest.raises(ArgumentError, match="cannot take an input of shape"):
        quantum(torch.ones(shape))
    with pytest.raises(ArgumentTypeError, match="must be a tensor, but is of type list"):
        quantum([1.0, 2.0, 3.0])
    assert not aer_calls


def test_images_below_the_kernel_are_refused():
    quantum = ho.to_quantum(nn.Conv2d(1, 2, 3), "mesh")
    with pytest.raises(ArgumentError, match=r"cannot take an input of shape \(1, 1, 2, 2\)"):
        quantum(torch.ones(1, 1, 2, 2))
