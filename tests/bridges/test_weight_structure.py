"""Structure of weights in every bridge: kept through training and all copies, or refused."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import prune

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.errors import CheckpointError, ConversionError

from .structures import (
    BRIDGES,
    DIRECT,
    ROW,
    STRUCTURES,
    Structure,
    Words,
    dense,
    doubled,
    halved,
    hooked,
    padded,
    same_hooks,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")


def cells(*, kept: bool) -> list:
    return [
        pytest.param(structure, BRIDGES[bridge], id=f"{name}-{bridge}")
        for name, structure in STRUCTURES.items()
        for bridge in BRIDGES
        if (bridge in structure.kept) is kept
    ]


def built(structure: Structure) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    network = structure.make()
    if hasattr(network, "words"):
        return network, torch.tensor([[0, 4, ROW], [1, 1, 3], [3, ROW, ROW], [4, 2, 1]])
    return network, torch.randn(4, 3)


def converted(network: nn.Module, bridge) -> ho.QuantumNetwork:
    rule = "adjoint" if bridge.name == "mesh" else "parameter-shift"
    return ho.to_quantum(network, bridge, gradient=rule)


def train(quantum: nn.Module, x: Tensor) -> None:
    ho.fit(quantum, (x, torch.tensor([0, 1, 1, 0])), epochs=1, batch_size=2, lr=0.05)


def matches(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(("structure", "bridge"), cells(kept=True))
def test_structure_is_kept(structure, bridge, tmp_path):
    network, x = built(structure)
    before = copy_of(structure, network)
    quantum = converted(network, bridge)
    train(quantum, x)
    assert matches(network, before)
    copied = copy.deepcopy(quantum)
    classical = ho.to_classical(quantum)
    assert type(classical) is type(network)
    assert list(classical.state_dict()) == list(network.state_dict())
    for one in (classical, ho.to_classical(copied)):
        assert structure.holds(before, one)
        assert matches(classical, one)
    if structure.changes is not None:
        parameters = (m.get_parameter(structure.changes) for m in (before, classical))
        assert not torch.equal(*parameters)
    quantum.eval(), classical.eval()
    torch.testing.assert_close(classical(x), quantum(x), rtol=0, atol=1e-5)
    if structure.pickles:
        again = pickle.loads(pickle.dumps(quantum))
        assert structure.holds(before, ho.to_classical(again))
    if bridge == Memory():  # the structure continues to hold in torch
        train(classical.train(), x)
        assert structure.holds(before, classical)


def copy_of(structure: Structure, network: nn.Module) -> nn.Module:
    """Return the same network, made again; torch cannot copy computed weights."""
    again = built(structure)[0]
    again.load_state_dict(network.state_dict())
    return again


@pytest.mark.parametrize(("structure", "bridge"), cells(kept=False))
def test_structure_is_refused_by_name(structure, bridge, aer_calls):
    with pytest.raises(ConversionError, match=structure.named):
        converted(built(structure)[0], bridge)
    assert aer_calls == []


class FunctionalTie(Words):
    """Network that uses the weight of the embedding, with the padding row, as output layer."""

    def forward(self, x: Tensor) -> Tensor:
        return self.words(x).sum(1) @ self.words.weight.T


@pytest.mark.parametrize("bridge", ["memory", "generator", "twin"])
def test_padding_rows_with_a_gradient_are_refused(bridge, aer_calls):
    quantum = ho.to_quantum(FunctionalTie(padded().words), bridge)
    with pytest.raises(ConversionError, match=r"`words.weight`.*`padding_idx`"):
        quantum(torch.tensor([[0, ROW]]))
    assert aer_calls == []


@pytest.mark.parametrize("bridge", DIRECT.values(), ids=DIRECT)
@pytest.mark.parametrize("shots", [None, 50])
def test_hooks_receive_the_gradient_of_the_weight(bridge, shots):
    """The angles get the chain rule of the weight's gradient after its hooks."""
    network, seen = nn.Linear(3, 2).double(), []
    network.weight.register_hook(lambda g: 3 * g)
    network.weight.register_hook(lambda g: seen.append(g.clone()))
    x = torch.randn(4, 3, dtype=torch.float64)
    quantum = ho.to_quantum(network, bridge, executor=ho.AerExecutor(shots=shots, seed=1))
    other = ho.to_quantum(
        nn.Linear(3, 2).double(), bridge, executor=ho.AerExecutor(shots=shots, seed=1)
    )
    other.load_state_dict(quantum.state_dict())
    for one in (quantum, other):
        one(x).sum().backward()
    torch.testing.assert_close(seen[0], 3 * x.sum(0).expand(2, 3))
    assert len(seen) == 1
    factors = torch.tensor([3.0] * 6 + [1.0] * 2, dtype=torch.float64)
    expected = other.angles.grad[:8] * factors
    torch.testing.assert_close(quantum.angles.grad[:8], expected, rtol=0, atol=1e-12)


def test_padding_stays_with_shots_and_in_a_readout():
    torch.manual_seed(3)
    network, x = padded(), torch.tensor([[0, 4], [1, 3]])
    quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=200, seed=2)).eval()
    longer = torch.cat([x, torch.full((2, 3), ROW)], dim=1)
    network.words.weight.data[ROW] = 0
    quantum.origin.get_buffer("words/weight")[ROW] = 0
    torch.testing.assert_close(quantum(longer), quantum(x), rtol=0, atol=1e-6)
    read = ho.to_classical(quantum, readout="circuit")
    assert torch.equal(read.words.weight[ROW], network.words.weight[ROW])
    assert not torch.equal(read.words.weight[0], network.words.weight[0])


def test_fixed_entries_need_no_angles():
    for bridge in ("memory", "generator", "random-subspace"):
        assert ho.to_quantum(padded(), bridge).num_weights == 5 * 3 - 3 + 3 * 2 + 2
    layer = prune.custom_from_mask(nn.Linear(8, 2), "weight", torch.eye(8)[:2])
    assert ho.to_quantum(layer).num_qubits == 1 + 2
    alone = nn.Embedding(1, 3, padding_idx=0)
    with pytest.raises(ConversionError, match="padding rows"):
        ho.to_quantum(alone)


def test_hooks_of_the_quantum_network_reach_the_plain_one():
    network = dense()
    hooked(network)
    quantum = ho.to_quantum(network, "mesh")
    quantum.register_forward_hook(doubled)
    layer = next(iter(quantum.layers.values()))
    layer.register_full_backward_hook(halved)
    classical, x = ho.to_classical(quantum), torch.randn(2, 3)
    torch.testing.assert_close(classical(x), quantum(x), rtol=0, atol=1e-5)
    gradients = []
    for one in (classical, quantum):
        given = x.clone().requires_grad_()
        one(given).sum().backward()
        gradients.append(given.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["padding", "pruned", "old-weight-norm", "orthogonal"])
@pytest.mark.parametrize("bridge", ["memory", "sparse", "generator"])
def test_structure_is_kept_by_files(name, bridge, tmp_path):
    structure = STRUCTURES[name]
    network, x = built(structure)
    before = copy_of(structure, network)
    quantum = converted(network, BRIDGES[bridge])
    train(quantum, x)
    ho.save(quantum, tmp_path / "network.ho")
    again = ho.load(tmp_path / "network.ho", built(structure)[0])
    assert matches(ho.to_classical(quantum), ho.to_classical(again))
    train(again, x)
    assert structure.holds(before, ho.to_classical(again))


def test_files_name_hooks_that_the_network_lacks(tmp_path):
    network = dense()
    hooked(network)
    path = ho.save(ho.to_quantum(network), tmp_path / "network.ho")
    assert same_hooks(network, ho.to_classical(ho.load(path, network)))
    with pytest.raises(CheckpointError, match=r"`hooks of 0`"):
        ho.load(path, dense())
    quantum = ho.to_quantum(dense())
    quantum.register_forward_hook(doubled)
    with pytest.raises(ConversionError, match=r"WeightNetwork .*hook"):
        ho.save(quantum, path)


def test_transforms_of_networks_with_fixed_entries():
    quantum, x = ho.to_quantum(padded().double()), torch.tensor([[0, ROW], [4, 1]])
    start = quantum.angles.detach()

    def outputs(angles: Tensor) -> Tensor:
        return functional_call(quantum, {"angles": angles}, (x,))

    batch = torch.stack([start, start + 0.1])
    expected = torch.stack([outputs(angles) for angles in batch]).detach()
    fresh = ho.to_quantum(padded().double())  # its inputs are tried inside the transform
    fresh.load_state_dict(quantum.state_dict())
    quantum = fresh
    torch.testing.assert_close(torch.vmap(outputs)(batch), expected, rtol=0, atol=1e-12)
    slopes = torch.func.jacrev(outputs)(start)
    assert slopes.shape == (2, 2, 20)
