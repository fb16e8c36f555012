"""A transferred network from a file trains exactly like the saved one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES
from hybridopt.errors import CheckpointError
from hybridopt.transfer import freeze, unfreeze

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(3))
Y = torch.arange(12) % 3
HEADS = ("dressed", "memory", "mesh")


def layers() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)
    )


class Own(nn.Module):
    """A class of the user, whose file needs an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = layers()[:5], nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def unfrozen_in_part(network: nn.Module) -> None:
    first = next(name for name, _ in network.named_modules() if name.endswith("1"))
    unfreeze(network, [first])


def frozen_by_hand(network: nn.Module) -> None:
    """Freeze without `freeze`, so that `unfreeze` does not undo it."""
    unfreeze(network)
    next(network.parameters()).requires_grad_(False)


STATES = (lambda network: None, unfreeze, unfrozen_in_part, frozen_by_hand)


def facts(network: nn.Module) -> dict[str, object]:
    groups = ho.parameter_groups(network, lr=0.1)
    names = {id(p): name for name, p in network.named_parameters()}
    return {
        "modes": {name: module.training for name, module in network.named_modules()},
        "trained": {name: p.requires_grad for name, p in network.named_parameters()},
        "groups": [([names[id(p)] for p in group["params"]], group["lr"]) for group in groups],
    }


def assert_trains_equally(loaded: nn.Module, saved: nn.Module) -> None:
    assert facts(loaded) == facts(saved)
    for network in (loaded, saved):
        optimizer = torch.optim.Adam(ho.parameter_groups(network, lr=0.05))
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=2, callbacks=[ho.Unfreeze(1)])
    assert facts(loaded) == facts(saved)
    states = [network.state_dict() for network in (loaded, saved)]
    assert list(states[0]) == list(states[1])
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name


@pytest.mark.parametrize(
    ("head", "change"),
    [
        *(("memory", change) for change in STATES),
        *((head, unfrozen_in_part) for head in HEADS[::2]),
    ],
)
def test_built_in_transfer_needs_the_file_only(head, change, tmp_path):
    network = ho.transfer(layers(), num_outputs=3, head=head).train()
    change(network)
    assert_trains_equally(ho.load(ho.save(network, tmp_path / "target.ho")), network)


def transferred(head: str) -> nn.Module:
    return ho.transfer(Own(), num_outputs=3, head=head)


def unfrozen(head: str) -> nn.Module:
    return ho.transfer(Own(), num_outputs=3, head=head, freeze="none").eval()


def without_marks(_: str) -> nn.Module:
    network = Own()
    network.head = ho.DressedCircuit(4, 3)
    return network


@pytest.mark.parametrize(
    ("head", "template", "change"),
    [
        *(("memory", transferred, change) for change in STATES[::2]),
        ("dressed", unfrozen, STATES[0]),
        *(("dressed", without_marks, change) for change in STATES[1::2]),
    ],
)
def test_user_class_needs_a_network_of_the_same_structure(head, template, change, tmp_path):
    network = transferred(head).train()
    change(network)
    path = ho.save(network, tmp_path / "target.ho")
    given = template(head)
    before = [module.training for module in given.modules()]
    assert_trains_equally(ho.load(path, given), network)
    assert [module.training for module in given.modules()] == before


@pytest.mark.parametrize(
    ("bridge", "change"),
    [*((bridge, unfrozen_in_part) for bridge in BRIDGES), ("mesh", unfreeze)],
)
def test_converted_transfer_is_restored(bridge, change, tmp_path):
    network = ho.to_quantum(ho.transfer(layers(), num_outputs=3), bridge).train()
    change(network)
    loaded = ho.load(ho.save(network, tmp_path / "target.ho"))
    assert loaded.num_weights == network.num_weights
    assert_trains_equally(loaded, network)


def test_classical_weights_of_a_mesh_are_counted(tmp_path):
    network = ho.to_quantum(layers(), "mesh", keep_classical=["0"])
    loaded = ho.load(ho.save(network, tmp_path / "network.ho"))
    count = sum(p.numel() for p in layers().parameters())
    assert loaded.num_weights == network.num_weights == count
    assert all(p.requires_grad for p in loaded.parameters())


def test_head_may_be_the_whole_network(tmp_path):
    network = ho.transfer(nn.Linear(3, 2), num_outputs=3, head="memory")
    assert_trains_equally(ho.load(ho.save(network, tmp_path / "target.ho")), network)


def test_instance_without_the_new_head_is_refused(tmp_path):
    path = ho.save(transferred("memory"), tmp_path / "target.ho")
    with pytest.raises(CheckpointError, match=r"`head.bias`.*\(3,\).*`transfer`"):
        ho.load(path, Own())
    with pytest.raises(CheckpointError, match=r"`network=`.*`Own`"):
        ho.load(path)


def test_layer_changed_after_construction_is_refused(tmp_path):
    network = ho.transfer(layers(), num_outputs=3, head="memory")
    freeze(network, ["0"])
    network[2].slope = 3.0
    path = ho.save(network, tmp_path / "target.ho")
    with pytest.raises(CheckpointError, match=r"`2`.*`Tanh`"):
        ho.load(path)
