"""A transfer that comes back from a file is trained on like the one that was not saved."""

from __future__ import annotations

from collections.abc import Callable

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
    """A class for which a file needs an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = layers()[:5], nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def as_made(network: nn.Module) -> None:
    """Frozen, all but the head."""


def unfrozen(network: nn.Module) -> None:
    unfreeze(network)


def unfrozen_in_part(network: nn.Module) -> None:
    first = next(name for name, _ in network.named_modules() if name.endswith("1"))
    unfreeze(network, [first])


def frozen_by_hand(network: nn.Module) -> None:
    """Not by `freeze`, so that `unfreeze` does not undo it."""
    unfreeze(network)
    next(network.parameters()).requires_grad_(False)


STATES = (as_made, unfrozen, unfrozen_in_part, frozen_by_hand)


def facts(network: nn.Module) -> dict[str, object]:
    groups = ho.parameter_groups(network, lr=0.1)
    names = {id(p): name for name, p in network.named_parameters()}
    return {
        "modes": {name: module.training for name, module in network.named_modules()},
        "trained": {name: p.requires_grad for name, p in network.named_parameters()},
        "groups": [([names[id(p)] for p in group["params"]], group["lr"]) for group in groups],
    }


def assert_goes_on_alike(loaded: nn.Module, saved: nn.Module) -> None:
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
def test_built_in_transfers_come_back_from_the_file_alone(head, change, tmp_path):
    network = ho.transfer(layers(), num_outputs=3, head=head).train()
    change(network)
    assert_goes_on_alike(ho.load(ho.save(network, tmp_path / "target.ho")), network)


def made_anew(head: str) -> nn.Module:
    return ho.transfer(Own(), num_outputs=3, head=head)


def unfrozen_before(head: str) -> nn.Module:
    return ho.transfer(Own(), num_outputs=3, head=head, freeze="none").eval()


def of_the_same_structure(head: str) -> nn.Module:
    """Without any mark."""
    network = Own()
    network.head = ho.DressedCircuit(4, 3) if head == "dressed" else nn.Linear(4, 3)
    return network


@pytest.mark.parametrize(
    ("head", "template", "change"),
    [
        *(("memory", made_anew, change) for change in STATES),
        *(("dressed", unfrozen_before, change) for change in STATES[:2]),
        *(("dressed", of_the_same_structure, change) for change in STATES[2:]),
    ],
)
def test_others_come_back_with_any_network_of_the_same_structure(
    head: str, template: Callable[[str], nn.Module], change, tmp_path
):
    network = made_anew(head).train()
    change(network)
    path = ho.save(network, tmp_path / "target.ho")
    given = template(head)
    before = [module.training for module in given.modules()]
    assert_goes_on_alike(ho.load(path, given), network)
    assert [module.training for module in given.modules()] == before


@pytest.mark.parametrize(
    ("bridge", "change"),
    [*((bridge, unfrozen_in_part) for bridge in BRIDGES), ("mesh", unfrozen), ("memory", as_made)],
)
def test_transfers_that_were_carried_over_whole(bridge, change, tmp_path):
    network = ho.to_quantum(ho.transfer(layers(), num_outputs=3), bridge).train()
    change(network)
    loaded = ho.load(ho.save(network, tmp_path / "target.ho"))
    assert loaded.num_weights == network.num_weights
    assert_goes_on_alike(loaded, network)


@pytest.mark.parametrize("keep", [[], ["0"]])
def test_what_a_mesh_leaves_classical_counts_among_its_weights(keep, tmp_path):
    network = ho.to_quantum(layers(), "mesh", keep_classical=keep)
    loaded = ho.load(ho.save(network, tmp_path / "network.ho"))
    assert (
        loaded.num_weights == network.num_weights == sum(p.numel() for p in layers().parameters())
    )
    assert all(p.requires_grad for p in loaded.parameters())


def test_a_head_that_is_the_whole_network(tmp_path):
    network = ho.transfer(nn.Linear(3, 2), num_outputs=3, head="memory")
    assert_goes_on_alike(ho.load(ho.save(network, tmp_path / "target.ho")), network)


def test_a_template_without_the_new_head_is_told_how_it_must_be_made(tmp_path):
    path = ho.save(made_anew("memory"), tmp_path / "target.ho")
    with pytest.raises(CheckpointError, match=r"`head.bias` is \(3,\) there.*same `transfer`"):
        ho.load(path, Own())
    with pytest.raises(CheckpointError, match="`Own` made in the same way, with its circuits or"):
        ho.load(path)


def test_a_layer_that_was_changed_by_hand_is_still_noticed(tmp_path):
    network = ho.transfer(layers(), num_outputs=3, head="memory")
    freeze(network, ["0"])
    network[2].slope = 3.0
    path = ho.save(network, tmp_path / "target.ho")
    with pytest.raises(CheckpointError, match="layer `2`, a `Tanh`, was changed after"):
        ho.load(path)
