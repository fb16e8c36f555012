"""What moves in which epoch, also across an interruption."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    TrainingError,
    UnknownNameError,
)
from hybridopt.transfer import freeze, unfreeze

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(3))
Y = torch.arange(12) % 4


def target() -> nn.Module:
    torch.manual_seed(4)
    source = nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2)
    )
    return ho.transfer(source, num_outputs=4)


def diary(network: nn.Module) -> tuple[list[set[str]], object]:
    """A callback that notes which layers moved in each epoch."""
    last = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pages: list[set[str]] = []

    def note(_, network):
        now = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        pages.append({name[0] for name in now if not torch.equal(now[name], last[name])})
        last.update(now)

    return pages, note


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "newton", "groups"])
def test_unfreezes_everything_when_it_is_due(optimizer):
    network = target()
    pages, note = diary(network)
    if optimizer == "groups":
        optimizer = torch.optim.Adam(ho.parameter_groups(network, lr=0.01))
    ho.fit(network, (X, Y), optimizer=optimizer, epochs=4, callbacks=[ho.Unfreeze(2), note])
    assert pages == [{"5"}, {"5"}, {"0", "1", "3", "5"}, {"0", "1", "3", "5"}]


def test_unfreezes_by_and_by():
    network = target()
    pages, note = diary(network)
    unfreeze = ho.Unfreeze({1: ["3"], 3: ["1.weight", "1.bias"], 4: None})
    ho.fit(network, (X, Y), epochs=5, callbacks=[unfreeze, note])
    assert pages == [{"5"}, {"3", "5"}, {"3", "5"}, {"1", "3", "5"}, {"0", "1", "3", "5"}]


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path):
    whole = target()
    ho.fit(whole, (X, Y), epochs=6, callbacks=[ho.Unfreeze(2)])
    for stop in (1, 2, 3):
        path = tmp_path / f"{stop}.pt"
        ho.fit(target(), (X, Y), epochs=stop, callbacks=[ho.Unfreeze(2)], checkpoint=path)
        resumed = target()
        ho.fit(resumed, (X, Y), epochs=6, callbacks=[ho.Unfreeze(2)], checkpoint=path)
        for one, other in zip(
            whole.state_dict().values(), resumed.state_dict().values(), strict=True
        ):
            assert torch.equal(one, other), stop


def test_one_schedule_serves_several_runs():
    unfreeze = ho.Unfreeze(1)
    for _ in range(2):
        network = target()
        pages, note = diary(network)
        ho.fit(network, (X, Y), epochs=2, callbacks=[unfreeze, note])
        assert pages == [{"5"}, {"0", "1", "3", "5"}]


def test_an_optimizer_without_the_body_is_found_out():
    network = target()
    optimizer = torch.optim.Adam(network[5].parameters())
    with pytest.raises(
        TrainingError, match=r"missing from the optimizer.*`hybridopt\.parameter_groups"
    ):
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=4, callbacks=[ho.Unfreeze(2)])


def test_what_was_always_frozen_stays_so():
    network = target()
    network[5].bias.requires_grad_(False)
    before = network[5].bias.clone()
    ho.fit(network, (X, Y), epochs=3, callbacks=[ho.Unfreeze(1)])
    assert torch.equal(network[5].bias, before)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("after", "error", "message"),
    [
        (0, ArgumentError, "`after` must be 1 or more, but is 0"),
        (1.5, ArgumentTypeError, "`after` must be an int"),
        ({}, ArgumentError, "empty schedule"),
        ({0: None}, ArgumentError, "1 or more"),
        ({1: 3}, ArgumentTypeError, "list of names"),
    ],
)
def test_refuses_schedules(after, error, message):
    with pytest.raises(error, match=message):
        ho.Unfreeze(after)


def test_refuses_names_before_anything_is_trained():
    network = target()
    before = network[5].weight.clone()
    with pytest.raises(UnknownNameError, match=r"Unknown layer or parameter '7'\. Known: 0, 1, "):
        ho.fit(network, (X, Y), callbacks=[ho.Unfreeze({3: ["7"]})])
    assert torch.equal(network[5].weight, before)


@pytest.mark.parametrize("training", [True, False])
def test_an_unfrozen_normalisation_has_the_mode_of_its_network_afterwards(training):
    network = target().train(training)
    ho.fit(network, (X, Y), epochs=3, callbacks=[ho.Unfreeze({1: ["0"], 2: ["1"]})])
    assert network[1].training is training
    seen = int(network[1].num_batches_tracked)
    ho.fit(network, (X, Y), epochs=1)
    assert int(network[1].num_batches_tracked) == seen + 1


def test_what_a_callback_freezes_stands_still_afterwards():
    network = ho.transfer(target(), freeze="none").train()
    ho.fit(network, (X, Y), epochs=2, callbacks=[lambda _, n: freeze(n)])
    assert not network[1].training


def test_each_layer_that_the_optimizer_lacks_is_named():
    network = target()
    optimizer = torch.optim.Adam([*network[5].parameters(), *network[3].parameters()])
    names = r"missing from the optimizer: 0\.weight, 0\.bias, 1\.weight, 1\.bias"
    with pytest.raises(TrainingError, match=names):
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=3, callbacks=[ho.Unfreeze(1)])


def test_rates_of_zero_and_steps_too_small_are_the_optimizers_affair():
    network = target()
    groups = [
        {"params": [*network[5].parameters()], "lr": 0.1},
        {"params": [*network[3].parameters(), *network[1].parameters()], "lr": 0.0},
        {"params": [*network[0].parameters()], "lr": 1e-30},
    ]
    pages, note = diary(network)
    optimizer = torch.optim.SGD(groups)
    ho.fit(
        network, (X, Y), optimizer=optimizer, epochs=3, callbacks=[ho.Unfreeze({1: ["body"]}), note]
    )
    assert pages == [{"5"}, {"1", "5"}, {"1", "5"}]  # 1 has statistics


@pytest.mark.parametrize("names", ["body", ["body"]])
def test_unfreezes_the_body_by_that_name(names):
    network = target()
    pages, note = diary(network)
    ho.fit(network, (X, Y), epochs=3, callbacks=[ho.Unfreeze({2: names}), note])
    assert pages == [{"5"}, {"5"}, {"0", "1", "3", "5"}]


def test_a_part_that_is_called_body_is_meant_by_that_name_in_a_list():
    network = nn.ModuleDict({"stem": nn.Linear(3, 4), "body": nn.Linear(4, 4)})
    network["head"] = nn.Linear(4, 2)
    network = ho.transfer(network, head_layer="head")
    assert unfreeze(network, ["body"]) == ["body.weight", "body.bias"]
    assert unfreeze(network, "body") == ["stem.weight", "stem.bias"]


@pytest.mark.parametrize("before", [True, False])
def test_an_unfreeze_that_is_added_or_left_out_when_a_run_is_resumed_is_named(before, tmp_path):
    path = tmp_path / "run.pt"
    ways = ([ho.Unfreeze(3)], []) if before else ([], [ho.Unfreeze(3)])
    ho.fit(target(), (X, Y), epochs=1, callbacks=ways[0], checkpoint=path)
    with pytest.raises(CheckpointError, match=r"holds 0\.weight, 0\.bias, .*`Unfreeze` adds"):
        ho.fit(target(), (X, Y), epochs=4, callbacks=ways[1], checkpoint=path)
