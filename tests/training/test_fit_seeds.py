"""Seeds: reproducible results and an unchanged global random state."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import hybridopt as ho


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_seed_same_result(optimizer, data, make_network, equal_states):
    def trained(seed, global_seed=1):
        torch.manual_seed(global_seed)
        network = make_network(dropout=0.4)
        ho.fit(network, data, optimizer=optimizer, epochs=2, batch_size=4, seed=seed)
        return network

    equal_states(trained(5), trained(5, global_seed=2))
    assert not torch.equal(trained(5)[0].weight, trained(6)[0].weight)
    assert not torch.equal(trained(None)[0].weight, trained(None)[0].weight)


def test_dropout_follows_the_seed(data, make_network):
    losses = [
        ho.fit(make_network(dropout=0.4), data, optimizer="gd", epochs=2, seed=seed).train_loss
        for seed in (0, 1)
    ]
    assert losses[0][0] != losses[1][0]  # one batch in a fixed order: nothing else is random


def seeded() -> None:
    torch.manual_seed(1)
    np.random.seed(2)  # noqa: NPY002
    random.seed(3)


def drawn() -> tuple[object, ...]:
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002


@pytest.mark.parametrize(
    ("arguments", "resumed", "fails"),
    [
        *(({"seed": 0}, False, False), ({"seed": None}, False, False)),
        *(({"lr": "auto"}, False, False), ({}, True, False), ({}, False, True)),
    ],
)
def test_global_random_state_is_unchanged(arguments, resumed, fails, data, make_network, tmp_path):
    def noisy(outputs, targets):
        random.random()
        np.random.rand()  # noqa: NPY002
        if fails and not outputs.is_meta:
            raise KeyError("on purpose")
        return torch.nn.functional.cross_entropy(outputs, targets)

    if resumed:
        arguments = {"checkpoint": tmp_path / "run.pt"}
        ho.fit(make_network(dropout=0.3), data, epochs=1, loss=noisy, **arguments)
    network = make_network(dropout=0.3)
    seeded()
    expected = drawn()
    seeded()
    try:
        ho.fit(network, data, epochs=2, loss=noisy, **arguments)
    except KeyError:
        assert fails
    assert drawn() == expected


@pytest.mark.parametrize(
    ("name", "options"), [("gd", {}), ("adam", {}), ("newton", {}), ("lbfgs", {"max_iter": 3})]
)
def test_shots_follow_the_seed_of_the_executor(name, options, data, make_quantum):
    def losses(seed):
        network = make_quantum(shots=4096, seed=seed)
        return ho.fit(network, data, optimizer=name, epochs=2, **options).train_loss

    assert losses(7) == losses(7)
    assert losses(7) != losses(8)


@pytest.mark.wrong_types
@pytest.mark.parametrize("seed", [np.int64(4), 2**40, 2**70])
def test_any_integer_is_a_seed(seed, data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, seed=seed, checkpoint=path)
    assert len(ho.fit(make_network(), data, epochs=2, seed=seed, checkpoint=path)) == 2
