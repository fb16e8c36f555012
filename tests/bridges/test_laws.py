"""Laws of every bridge with every network."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from hybridopt.bridges import Generator, Mesh, MeshNetwork, RandomSubspace, Twin, WalshSubspace
from hybridopt.errors import ConversionError

from .networks import BRIDGES, RECIPES, original, pairs, snapshot

every_pair = pytest.mark.parametrize(("recipe", "bridge"), pairs())
FEW = ("mlp", "twice", "frozen", "lstm")
some_pairs = pytest.mark.parametrize(("recipe", "bridge"), pairs(only=FEW))
every_bridge = pytest.mark.parametrize("bridge", BRIDGES)


def to_quantum(network: nn.Module, bridge, **arguments) -> ho.QuantumNetwork:
    """Meshes with the rule that takes least time: laws do not depend on it."""
    rule = "adjoint" if isinstance(bridge, Mesh) else "parameter-shift"
    return ho.to_quantum(network, bridge, gradient=rule, **arguments)


def train(case, quantum, steps: int = 1) -> None:
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        optimizer.step()


def is_exact(bridge) -> bool:
    made = original(bridge)
    return getattr(made, "form", "residual") == "residual" and not is_mesh(bridge)


def is_mesh(bridge) -> bool:
    return isinstance(original(bridge), Mesh)


def generator_of(bridge) -> Generator | None:
    made = original(bridge)
    return made if isinstance(made, Generator) else None


def trained_angles(bridge, num_weights: int) -> int:
    generator = generator_of(bridge)
    if generator is not None:
        return 0 if generator.frozen else generator.num_angles
    return 4 if is_sparse(bridge) else num_weights


def mapping_size(bridge, num_weights: int) -> int:
    generator = generator_of(bridge)
    if generator is None:
        return 0
    inputs = max(1, math.ceil(math.log2(num_weights))) + 1
    return inputs + 1 if generator.mapping == "affine" else generator.width * (inputs + 2) + 1


def first_trained(quantum) -> tuple[str, nn.Parameter]:
    """The angles, where they are trained."""
    return next((n, p) for n, p in quantum.named_parameters() if p.requires_grad)


def exact_tensors(quantum) -> dict[str, torch.Tensor]:
    """Angles, scales and what makes moves of them by name; a mesh has them in its layers."""
    tensors = [*quantum.named_parameters(), *quantum.named_buffers()]
    made = {n: t for n, t in tensors if n.startswith(("mapping.", "source.projection"))}
    exact = {"angles", "alphas" if isinstance(quantum, MeshNetwork) else "scales"}
    found = {name: t for name, t in tensors if name.rpartition(".")[2] in exact}
    assert {name.rpartition(".")[2] for name in found} == exact
    return found | made


def is_sparse(bridge) -> bool:
    sizes = [getattr(bridge, name, None) for name in ("num_angles", "num_parameters")]
    return any(size is not None for size in sizes)


@some_pairs
def test_the_given_network_is_left_as_it_is(recipe, bridge):
    case = recipe()
    before = snapshot(case.network)
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    ho.to_classical(quantum)
    assert snapshot(case.network) == before


@every_pair
def test_carrying_over_and_back_gives_the_same_network(recipe, bridge):
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


@every_pair
def test_outputs_are_those_of_the_network(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    actual, expected = case.outputs(quantum), case.outputs(case.network)
    torch.testing.assert_close(actual, expected, rtol=0, atol=case.precision)


@pytest.mark.parametrize(("recipe", "bridge"), pairs(carried=False))
def test_what_a_bridge_does_not_carry_it_refuses_by_name(recipe, bridge, aer_calls):
    with pytest.raises(ConversionError, match=recipe.no_mesh):
        to_quantum(recipe().network, bridge)
    assert aer_calls == []


def weights_of(network: nn.Module, *, trained: bool = True) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad is trained)


@every_pair
def test_every_weight_is_trained_by_an_angle_or_stays_as_it_is(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    weights = weights_of(case.network)
    assert quantum.num_weights == weights
    assert quantum.num_trainable == trained_angles(bridge, weights) + mapping_size(bridge, weights)
    assert weights_of(quantum) == quantum.num_trainable
    assert weights_of(quantum, trained=False) == weights_of(case.network, trained=False)
    assert {t.dtype for t in exact_tensors(quantum).values()} == {torch.float64}
    assert quantum.training is case.network.training


@pytest.mark.parametrize(
    ("recipe", "bridge"), [pair for pair in pairs() if not is_mesh(pair.values[1])]
)
def test_parameters_are_angles_and_what_stays_classical(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    parameters = dict(quantum.named_parameters())
    weights = weights_of(case.network)
    trained = {name: p for name, p in parameters.items() if not name.startswith("network.")}
    assert all(p.dtype is torch.float64 and p.requires_grad for p in trained.values())
    mapping = sum(p.numel() for n, p in trained.items() if n.startswith("mapping."))
    assert mapping == mapping_size(bridge, weights)
    angles = trained_angles(bridge, weights)
    assert [p.shape for n, p in trained.items() if n == "angles"] == ([(angles,)] if angles else [])
    parameters = {name: p for name, p in parameters.items() if name not in trained}
    stays = {f"network.{n}" for n, p in case.network.named_parameters() if not p.requires_grad}
    assert set(parameters) == stays
    assert not any(p.requires_grad for p in parameters.values())


@every_pair
def test_trained_network_comes_back_as_it_computes(recipe, bridge):
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


@every_pair
def test_state_dict_and_deepcopy_carry_everything(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    fresh = to_quantum(copy.deepcopy(case.network), bridge)
    fresh.load_state_dict(quantum.state_dict())
    expected = snapshot(ho.to_classical(quantum))
    assert snapshot(ho.to_classical(fresh)) == expected
    copied = copy.deepcopy(quantum)
    assert snapshot(ho.to_classical(copied)) == expected
    train(case, copied)
    assert snapshot(ho.to_classical(quantum)) == expected


@pytest.mark.parametrize(("recipe", "bridge"), pairs(only=(*FEW, "tied", "convolution")))
def test_pickle_carries_everything(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    copied = pickle.loads(pickle.dumps(quantum))
    assert snapshot(ho.to_classical(copied)) == snapshot(ho.to_classical(quantum))
    torch.testing.assert_close(case.loss(copied), case.loss(quantum), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "bridge"),
    pairs(only=("convolution", "convolution-eval", "convolution-partly-eval")),
)
def test_statistics_of_batches_are_learned_and_come_back(recipe, bridge):
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
def test_forward_leaves_no_weights_behind(recipe, bridge):
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
def test_angles_stay_double_in_a_network_of_any_precision(bridge):
    case = RECIPES["mlp"]()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)
    before = {name: tensor.detach().clone() for name, tensor in exact_tensors(quantum).items()}
    for cast in (quantum.double, quantum.float, quantum.half, quantum.bfloat16, quantum.double):
        cast()
        assert {t.dtype for t in exact_tensors(quantum).values()} == {torch.float64}
    for name, tensor in exact_tensors(quantum).items():
        assert torch.equal(tensor, before[name])


@every_bridge
def test_gradients_have_the_dtype_of_the_angles_after_a_cast(bridge):
    case = RECIPES["mlp"]()
    quantum = to_quantum(case.network, bridge)
    case.loss(quantum).backward()
    _, angles = first_trained(quantum)
    expected = angles.grad.clone()
    quantum.half().float()
    _, angles = first_trained(quantum)
    assert angles.grad.dtype is torch.float64
    assert torch.equal(angles.grad, expected)


@every_bridge
def test_casting_up_and_down_changes_no_output(bridge):
    case = RECIPES["mlp"]()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum, steps=3)
    expected = snapshot(ho.to_classical(quantum))["state"]
    assert snapshot(ho.to_classical(quantum.double().float()))["state"] == expected


@pytest.mark.parametrize(("recipe", "bridge"), pairs(only=("convolution", "frozen", "lstm")))
def test_double_computes_in_double_and_comes_back_double(recipe, bridge):
    case = recipe()
    quantum = to_quantum(case.network, bridge).double()
    case.x = case.x.double()
    assert case.outputs(quantum).dtype is torch.float64
    classical = ho.to_classical(quantum)
    dtypes = {t.dtype for t in classical.state_dict().values() if t.is_floating_point()}
    assert dtypes == {torch.float64}
    assert case.outputs(classical).dtype is torch.float64


@some_pairs
def test_modes_are_switched_inside(recipe, bridge):
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
def test_meta_device_gives_shapes_and_runs_nothing(bridge, aer_calls):
    case = RECIPES["mlp"]()
    for network in (case.network, case.network.eval()):
        quantum = to_quantum(network, bridge).to("meta")
        outputs = quantum(case.x.to("meta"))
        assert (outputs.shape, outputs.dtype) == ((4, 2), torch.float32)
        outputs.sum().backward()
        assert first_trained(quantum)[1].grad.is_meta
    assert aer_calls == []


@every_bridge
def test_parameters_can_be_given_from_outside(bridge):
    case = RECIPES["mlp-double"]()
    quantum = to_quantum(case.network, bridge)
    train(case, quantum)  # at its start a generator has no gradient by the angles
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
