"""Laws of every bridge with every network."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized

import hybridopt as ho
from hybridopt.bridges import Generator, Mesh, MeshNetwork, RandomSubspace, Twin, WalshSubspace
from hybridopt.errors import ConversionError

from .networks import BRIDGES, RECIPES, bits, original, pairs, snapshot

every_pair = pytest.mark.parametrize(("recipe", "bridge"), pairs())
FEW = ("mlp", "twice", "frozen", "lstm")
some_pairs = pytest.mark.parametrize(("recipe", "bridge"), pairs(only=FEW))
# each network with two bridges or more, and each bridge with two networks or more
varied_pair = pytest.mark.parametrize(("recipe", "bridge"), pairs()[::5])
every_bridge = pytest.mark.parametrize("bridge", BRIDGES)


def to_quantum(network: nn.Module, bridge, **arguments) -> ho.QuantumNetwork:
    """Convert a network; meshes use the fastest rule, because the laws hold for every rule."""
    rule = "adjoint" if isinstance(bridge, Mesh) else "parameter-shift"
    return ho.to_quantum(network, bridge, gradient=rule, **arguments)


def train(case, quantum, steps: int = 1) -> None:
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        optimizer.step()


def is_mesh(bridge) -> bool:
    return isinstance(original(bridge), Mesh)


def is_exact(bridge) -> bool:
    return getattr(original(bridge), "form", "residual") == "residual" and not is_mesh(bridge)


def expected_sizes(bridge, num_weights: int) -> tuple[int, int]:
    """Return the numbers of trained angles and of trained numbers in the mapping."""
    made = original(bridge)
    if isinstance(made, Generator):
        inputs = max(1, math.ceil(math.log2(num_weights))) + 1
        mapping = inputs + 1 if made.mapping == "affine" else made.width * (inputs + 2) + 1
        return 0 if made.frozen else made.num_angles, mapping
    sizes = [getattr(made, name, None) for name in ("num_angles", "num_parameters")]
    return next((size for size in sizes if size), num_weights), 0


def first_trained(quantum) -> tuple[str, nn.Parameter]:
    return next((n, p) for n, p in quantum.named_parameters() if p.requires_grad)


def exact_tensors(quantum) -> dict[str, torch.Tensor]:
    """Return the tensors that stay float64: angles, scales, mapping and projection."""
    tensors = [*quantum.named_parameters(), *quantum.named_buffers()]
    made = {n: t for n, t in tensors if n.startswith(("mapping.", "source.projection"))}
    exact = {"angles", "alphas" if isinstance(quantum, MeshNetwork) else "scales"}
    found = {name: t for name, t in tensors if name.rpartition(".")[2] in exact}
    assert {name.rpartition(".")[2] for name in found} == exact
    return found | made


def weights_of(network: nn.Module, *, trained: bool = True) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad is trained)


@some_pairs
def test_given_network_is_not_changed(recipe, bridge):
    case = recipe()
    before = snapshot(case.network)
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    ho.to_classical(quantum)
    assert snapshot(case.network) == before


@every_pair
def test_round_trip_gives_the_same_network(recipe, bridge):
    case = recipe()
    classical = ho.to_classical(to_quantum(case.network, bridge))
    before, after = snapshot(case.network), snapshot(classical)
    if not is_exact(bridge):
        torch.testing.assert_close(
            classical.state_dict(), case.network.state_dict(), rtol=1e-6, atol=1e-12
        )
        before.pop("state")
        after.pop("state")
    assert after == before
    assert list(classical.state_dict()) == list(case.network.state_dict())
    assert not {id(p) for p in classical.parameters()} & {id(p) for p in case.network.parameters()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bridge", [b for b in BRIDGES if is_exact(b.values[0])])
def test_start_changes_no_bit(bridge, dtype):
    network = nn.Linear(7, 3).to(dtype)
    finfo = torch.finfo(dtype)
    special = [-0.0, 0.0, finfo.tiny, -finfo.smallest_normal / 2, 1 + finfo.eps, -3e4, 1e-3]
    network.weight.data[0] = torch.tensor(special, dtype=torch.float64).to(dtype)
    network.bias.data.fill_(-0.0)
    classical = ho.to_classical(to_quantum(network, bridge))
    assert bits(classical.weight) == bits(network.weight)
    assert bits(classical.bias) == bits(network.bias)


@every_pair
def test_outputs_are_those_of_the_network(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    actual, expected = case.outputs(quantum), case.outputs(case.network)
    torch.testing.assert_close(actual, expected, rtol=0, atol=case.precision)


@pytest.mark.parametrize(("recipe", "bridge"), pairs(carried=False))
def test_other_networks_are_rejected_with_the_layer(recipe, bridge, aer_calls):
    with pytest.raises(ConversionError, match=recipe.no_mesh):
        to_quantum(recipe().network, bridge)
    assert aer_calls == []


@every_pair
def test_every_weight_is_trained_by_an_angle_or_stays_classical(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    weights = weights_of(case.network)
    angles, mapping = expected_sizes(bridge, weights)
    assert quantum.num_weights == weights
    assert quantum.num_trainable == weights_of(quantum) == angles + mapping
    assert weights_of(quantum, trained=False) == weights_of(case.network, trained=False)
    assert {t.dtype for t in exact_tensors(quantum).values()} == {torch.float64}
    assert quantum.training is case.network.training
    if not is_mesh(bridge):
        parameters = dict(quantum.named_parameters())
        classical = {n: p for n, p in parameters.items() if n.startswith("network.")}
        stays = {f"network.{n}" for n, p in case.network.named_parameters() if not p.requires_grad}
        assert set(classical) == stays
        assert not any(p.requires_grad for p in classical.values())
        shapes = [p.shape for n, p in parameters.items() if n == "angles"]
        assert shapes == ([(angles,)] if angles else [])


@every_pair
def test_trained_network_computes_the_same_in_torch(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum, steps=2)
    classical = ho.to_classical(quantum)
    before, after = snapshot(case.network), snapshot(classical)
    for part in ("dtypes", "trainable", "gradients", "modes", "classes", "ties"):
        assert after[part] == before[part]
    assert after["state"] != before["state"]
    for name, buffer in classical.named_buffers():
        assert torch.equal(buffer, quantum.network.get_buffer(name))
    torch.testing.assert_close(
        case.outputs(classical), case.outputs(quantum), rtol=0, atol=case.precision
    )


@varied_pair
def test_state_dict_deepcopy_and_pickle_are_complete(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    fresh = to_quantum(copy.deepcopy(case.network), bridge)
    fresh.load_state_dict(quantum.state_dict())
    copied = copy.deepcopy(quantum)
    expected = snapshot(ho.to_classical(quantum))
    others = [fresh, copied]
    if not any(is_parametrized(m) for m in case.network.modules()):  # torch cannot pickle these
        others.append(pickle.loads(pickle.dumps(quantum)))
    for other in others:
        assert snapshot(ho.to_classical(other)) == expected
    train(case, copied)
    assert snapshot(ho.to_classical(quantum)) == expected


@pytest.mark.parametrize(
    ("recipe", "bridge"),
    pairs(only=("convolution", "convolution-eval", "convolution-partly-eval")),
)
def test_batch_statistics_are_updated_and_returned(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    case.outputs(quantum)
    case.outputs(case.network)
    torch.testing.assert_close(
        dict(ho.to_classical(quantum).named_buffers()),
        dict(case.network.named_buffers()),
        rtol=0,
        atol=case.precision,
    )


@some_pairs
def test_forward_keeps_no_weights(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    before = {name: (id(p), p.requires_grad) for name, p in quantum.named_parameters()}
    case.outputs(quantum)
    assert {name: (id(p), p.requires_grad) for name, p in quantum.named_parameters()} == before
    assert is_mesh(bridge) or not any(p.requires_grad for p in quantum.network.parameters())
    for module in quantum.network.modules():
        if isinstance(module, nn.RNNBase):
            assert all(weight is None for weight in module._flat_weights)


@every_bridge
def test_angles_stay_double_in_every_precision(bridge):
    case = RECIPES["mlp"]()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum, steps=3)
    before = {name: tensor.detach().clone() for name, tensor in exact_tensors(quantum).items()}
    state = snapshot(ho.to_classical(quantum))["state"]
    gradient = first_trained(quantum)[1].grad.clone()
    assert snapshot(ho.to_classical(quantum.double().float()))["state"] == state
    for cast in (quantum.half, quantum.bfloat16, quantum.float):
        cast()
        for name, tensor in exact_tensors(quantum).items():
            assert tensor.dtype is torch.float64
            assert torch.equal(tensor, before[name])
    assert torch.equal(first_trained(quantum)[1].grad, gradient)


@pytest.mark.parametrize(("recipe", "bridge"), pairs(only=("convolution", "frozen", "lstm")))
def test_double_network_computes_in_double(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge).double()
    case.x = case.x.double()
    assert case.outputs(quantum).dtype is torch.float64
    classical = ho.to_classical(quantum)
    dtypes = {t.dtype for t in classical.state_dict().values() if t.is_floating_point()}
    assert dtypes == {torch.float64}


@some_pairs
def test_modes_reach_the_inner_network(recipe, bridge):
    quantum = to_quantum(recipe().network, bridge)
    for mode in (True, False):
        quantum.train(mode)
        assert {m.training for m in ho.to_classical(quantum).modules()} == {mode}


@every_bridge
def test_training_with_adam_lowers_the_loss(bridge):
    case = RECIPES["mlp"]()
    quantum = to_quantum(case.network, bridge)
    before = case.loss(quantum).item()
    train(case, quantum, steps=20)
    assert case.loss(quantum).item() < 0.9 * before


@every_bridge
def test_meta_device_gives_shapes_without_a_run(bridge, aer_calls):
    case = RECIPES["mlp"]()
    for network in (case.network, case.network.eval()):
        quantum = to_quantum(network, bridge).to("meta")
        outputs = quantum(case.x.to("meta"))
        assert (outputs.shape, outputs.dtype) == ((4, 2), torch.float32)
        outputs.sum().backward()
        assert first_trained(quantum)[1].grad.is_meta
    assert aer_calls == []


@every_bridge
def test_functional_call_differentiates_given_angles(bridge):
    case = RECIPES["mlp-double"]()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)  # at its start, a generator has no gradient of the angles
    quantum.zero_grad()
    name, angles = first_trained(quantum)
    values = torch.linspace(-1, 1, angles.numel(), dtype=torch.float64).view(angles.shape)

    def loss(given):
        return (functional_call(quantum, {name: given}, (case.x,)) - 0.5).square().mean()

    outside = torch.func.grad(loss)(values)
    angles.data = values
    case.loss(quantum).backward()
    assert angles.grad.abs().max() > 0
    torch.testing.assert_close(outside, angles.grad, rtol=0, atol=1e-12)


CONTROLS = {
    "twin": Twin(),
    "random-subspace": RandomSubspace(),
    "walsh-subspace": WalshSubspace(),
    "generator-twin": Twin(of=Generator()),
    "mesh-twin": Twin(of=Mesh()),
}


@pytest.mark.parametrize("bridge", CONTROLS.values(), ids=CONTROLS)
def test_controls_cost_nothing_and_have_no_circuit(bridge, aer_calls):
    case = RECIPES["mlp"]()
    executor = ho.AerExecutor()
    quantum = to_quantum(case.network, bridge, executor=executor)
    train(case, quantum)
    quantum.decode(readout="circuit")
    assert quantum.circuit() is None
    assert (quantum.num_qubits, quantum.num_angles) == (0, 0)
    assert quantum.step_cost(32) == ho.Cost() == executor.usage
    assert aer_calls == []
