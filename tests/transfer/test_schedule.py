"""Parameters that change in each epoch, with and without an interruption."""

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
ALL = {"0", "1", "3", "5"}


def target() -> nn.Module:
    torch.manual_seed(4)
    source = nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2)
    )
    return ho.transfer(source, num_outputs=4)


def diary(network: nn.Module) -> tuple[list[set[str]], object]:
    """Return a list and a callback that appends the layers that changed in each epoch."""
    last = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pages: list[set[str]] = []

    def note(_, network):
        now = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        pages.append({name[0] for name in now if not torch.equal(now[name], last[name])})
        last.update(now)

    return pages, note


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "newton", "groups"])
def test_unfreezes_after_a_number_of_epochs(optimizer):
    network = target()
    pages, note = diary(network)
    if optimizer == "groups":
        optimizer = torch.optim.Adam(ho.parameter_groups(network, lr=0.01))
    ho.fit(network, (X, Y), optimizer=optimizer, epochs=4, callbacks=[ho.Unfreeze(2), note])
    assert pages == [{"5"}, {"5"}, ALL, ALL]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({1: ["3"], 2: ["1.weight", "1.bias"], 3: None}, [{"5"}, {"3", "5"}, {"1", "3", "5"}, ALL]),
        ({1: "3", 2: ["body"]}, [{"5"}, {"3", "5"}, ALL, ALL]),
        ({2: "body"}, [{"5"}, {"5"}, ALL, ALL]),
    ],
)
def test_gradual_schedules(schedule, expected):
    unfreeze = ho.Unfreeze(schedule)
    for _ in range(2):  # one schedule can be used for several runs
        network = target()
        pages, note = diary(network)
        ho.fit(network, (X, Y), epochs=4, callbacks=[unfreeze, note])
        assert pages == expected


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
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


def test_parameters_frozen_before_transfer_stay_frozen():
    network = target()
    network[5].bias.requires_grad_(False)
    before = network[5].bias.clone()
    ho.fit(network, (X, Y), epochs=3, callbacks=[ho.Unfreeze(1)])
    assert torch.equal(network[5].bias, before)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("after", "error", "message"),
    [
        (0, ArgumentError, "`after`.* 0"),
        (1.5, ArgumentTypeError, "`after`.* 1.5"),
        ({}, ArgumentError, "`after`"),
        ({0: None}, ArgumentError, "`after`.* 0"),
        ({1: 3}, ArgumentTypeError, "`after`.* 3"),
    ],
)
def test_wrong_schedules(after, error, message):
    with pytest.raises(error, match=message):
        ho.Unfreeze(after)


def test_wrong_names_are_found_before_training():
    network = target()
    before = network[5].weight.clone()
    with pytest.raises(UnknownNameError, match=r"layer.*'7'.* 0, 1, "):
        ho.fit(network, (X, Y), callbacks=[ho.Unfreeze({3: ["7"]})])
    assert torch.equal(network[5].weight, before)


@pytest.mark.parametrize("training", [True, False])
def test_mode_of_an_unfrozen_normalisation(training):
    network = target().train(training)
    ho.fit(network, (X, Y), epochs=3, callbacks=[ho.Unfreeze({1: ["0"], 2: ["1"]})])
    assert network[1].training is training
    seen = int(network[1].num_batches_tracked)
    ho.fit(network, (X, Y), epochs=1)
    assert int(network[1].num_batches_tracked) == seen + 1


def test_layers_frozen_by_a_callback_stay_frozen():
    network = ho.transfer(target(), freeze="none").train()
    ho.fit(network, (X, Y), epochs=2, callbacks=[lambda _, n: freeze(n)])
    assert not network[1].training


def test_parameters_missing_from_the_optimizer():
    network = target()
    optimizer = torch.optim.Adam([*network[5].parameters(), *network[3].parameters()])
    names = r"0\.weight, 0\.bias, 1\.weight, 1\.bias.*`hybridopt\.parameter_groups"
    with pytest.raises(TrainingError, match=names):
        ho.fit(network, (X, Y), optimizer=optimizer, epochs=3, callbacks=[ho.Unfreeze(1)])


def test_zero_and_tiny_learning_rates_are_allowed():
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


def test_part_with_the_name_body():
    network = nn.ModuleDict({"stem": nn.Linear(3, 4), "body": nn.Linear(4, 4)})
    network["head"] = nn.Linear(4, 2)
    network = ho.transfer(network, head_layer="head")
    assert unfreeze(network, ["body"]) == ["body.weight", "body.bias"]
    assert unfreeze(network, "body") == ["stem.weight", "stem.bias"]


@pytest.mark.parametrize("before", [True, False])
def test_resumed_run_needs_the_same_schedule(before, tmp_path):
    path = tmp_path / "run.pt"
    ways = ([ho.Unfreeze(3)], []) if before else ([], [ho.Unfreeze(3)])
    ho.fit(target(), (X, Y), epochs=1, callbacks=ways[0], checkpoint=path)
    with pytest.raises(CheckpointError, match=r"0\.weight, 0\.bias, .*`Unfreeze`"):
        ho.fit(target(), (X, Y), epochs=4, callbacks=ways[1], checkpoint=path)
