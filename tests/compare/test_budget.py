"""Budgets as text and in parts, and the predicted cost of a step."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import Budget, Method
from hybridopt.compare.budget import MeteredBatches, check_budget, step_cost
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.stage_setup import stage_budgets, stage_networks
from hybridopt.compare.tuning import Tuning
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError, UnsupportedError
from hybridopt.execution import Cost
from hybridopt.optim import create
from hybridopt.training.loop import executors_of, usage_of

QUICK = {"data": "iris", "seeds": 2, "tuning": None}
pytestmark = pytest.mark.usefixtures("no_page")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, Budget(epochs=7)),
        ("10 epochs", Budget(epochs=10)),
        ("1 epoch", Budget(epochs=1)),
        ("2.5 s", Budget(seconds=2.5)),
        ("1e6 shots", Budget(shots=1_000_000)),
        ("3 epochs,1_000 settings", Budget(epochs=3, settings=1000)),
        ({"seconds": 3}, Budget(seconds=3)),
        (Budget(shots=5), Budget(shots=5)),
    ],
)
def test_spellings(value, expected):
    assert Budget.parse(value) == Budget.parse(str(expected)) == expected


def test_text():
    budget = Budget(epochs=1, seconds=0.5, settings=12_345, shots=1_000_000)
    assert str(budget) == "1 epoch, 0.5 seconds, 12,345 settings, 1,000,000 shots"


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (18, [3, 5, 10], [3, 5, 10]),
        (9, [3, 5, 10], [2, 2, 5]),  # exact 1.5, 2.5, 5: the first of equal remainders
        (3, [1, 1, 100], [1, 1, 1]),
        (10, [1, 1, 1], [4, 3, 3]),
        (7, [2], [7]),
    ],
)
def test_parts_are_whole_and_sum_up(total, shares, parts):
    cut = Budget(epochs=total).parts(shares)
    assert sum(part.epochs for part in cut) == total
    assert [part.epochs for part in cut] == parts
    seconds = [part.seconds for part in Budget(seconds=9.0).parts(shares)]
    assert seconds == pytest.approx([9.0 * share / sum(shares) for share in shares])
    with pytest.raises(ArgumentError, match=r"`budget`.*3 epochs"):
        Budget(epochs=2).parts([1, 1, 1])


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("ten epochs", ArgumentError, "'ten epochs'"),
        ("10 epochs, 5 epochs", ArgumentError, "epochs only once"),
        ("1.5 epochs", ArgumentError, "whole number of epochs"),
        ("10 epohcs", UnknownNameError, "'epohcs'"),
        ({"epoch": 3}, UnknownNameError, "'epoch'"),
        ({}, ArgumentError, "`budget`.*limit"),
        (0, ArgumentError, "`budget`"),
        (True, ArgumentTypeError, "`budget`"),
        ({"seconds": 0}, ArgumentError, "`seconds`"),
    ],
)
def test_invalid_budgets(value, error, message):
    with pytest.raises(error, match=message):
        Budget.parse(value)


def circuit_network(**options):
    """Three qubits between linear layers: 1 + 2 * 3 + 2 * 3 settings per sample."""
    head = ho.DressedCircuit(4, 3, num_qubits=3, depth=1, **options)
    return nn.Sequential(nn.Linear(4, 4), head)


def real_cost(network, x):
    """Return settings and shots of a step, counted by the executors."""
    executors = executors_of(network)
    before = usage_of(executors)
    network(x).square().mean().backward()
    spent = usage_of(executors) - before
    return spent.settings, spent.shots


class Calling(nn.Module):
    """A network with its own forward pass around a network with a circuit."""

    def __init__(self, forward, inner):
        super().__init__()
        self.inner, self.call = inner, forward

    def forward(self, x):
        return self.call(self.inner, x)


def layer():
    return circuit_network()[1].layer


def untraceable(inner, x):  # the meta device has no numbers
    return inner(x) if float(x.sum()) < 1e9 else x


NETWORKS = {
    "dressed": circuit_network,
    "shots": lambda: circuit_network(executor=ho.AerExecutor(shots=9, seed=1)),
    "first": lambda: nn.Sequential(layer()),
    "spsa": lambda: circuit_network(gradient="spsa"),
    "adjoint": lambda: circuit_network(gradient="adjoint"),
    "frozen": lambda: circuit_network(frozen=True),
    "twice": lambda: Calling(lambda inner, x: inner(inner(x[:, :3])), layer()),
    "patches": lambda: Calling(lambda inner, x: inner(x.unfold(1, 3, 1)[:, [0, 1, 0]]), layer()),
    "untraceable": lambda: Calling(untraceable, circuit_network()),
    "plain": lambda: nn.Linear(4, 3),
    "memory": lambda: ho.to_quantum(nn.Linear(4, 3), "memory"),
    "memory around a circuit": lambda: ho.to_quantum(circuit_network(), "memory"),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_the_predicted_cost_is_spent(make, aer_calls):
    network = make()
    x = torch.rand(5, 3 if make is NETWORKS["first"] else 4)
    state = torch.get_rng_state()
    predicted = step_cost(network, x)
    assert torch.equal(state, torch.get_rng_state())
    assert aer_calls == []
    for _ in range(2):
        assert (predicted.settings, predicted.shots) == real_cost(network, x)


@pytest.mark.parametrize(("text", "settings"), [("adam", 32 * 13), ("gd", 120 * 13)])
def test_budgets_hold_for_circuits_in_the_network(text, settings):
    compare = functools.partial(ho.compare, circuit_network, methods=[text], **QUICK)
    with pytest.raises(ArgumentError, match=f"{settings:,} settings"):
        compare(budget=f"{settings - 1} settings")
    for run in compare(budget=f"{2 * settings + 5} settings").runs:
        assert (run.steps, run.settings) == (2, 2 * settings)


@pytest.mark.parametrize("text", ["memory+lbfgs", "memory+newton"])
def test_optimizers_without_a_predicted_cost(text, aer_calls):
    with pytest.raises(ArgumentError, match=r"`budget`.*(LBFGS|Newton)"):
        ho.compare("mlp:4-3", methods=[text], budget="1000 settings", **QUICK)
    assert aer_calls == []
    optimizer = create("newton", list(nn.Linear(4, 3).parameters()))
    check_budget(nn.Linear(4, 3), optimizer, Budget.parse("2 epochs, 9 shots"), torch.ones(2, 4))


CHAIN = "adam:1 > memory+adam:1 > memory+sgd:2"


def test_only_stages_with_shots_share_the_shots():
    study = ho.compare(
        "mlp:4-3", methods=[CHAIN], budget="900 shots, 100 epochs",
        executor=ho.AerExecutor(shots=50), **QUICK,
    )  # fmt: skip
    assert [run.shots for run in study.runs] == [900, 900]
    assert [stage["budget"] for stage in study.details["stages"][CHAIN]] == [
        "25 epochs", "25 epochs, 300 shots", "50 epochs, 600 shots"
    ]  # fmt: skip


def test_all_stages_with_circuits_share_the_settings():
    method, x = Method("adam:1 > twin+adam:1 > memory+adam:2"), torch.rand(40, 4)

    def settings(network, number):
        budget = Budget.parse(f"{number} settings")
        experiment = Experiment("", "", False, budget, Tuning(1), ho.AerExecutor(), None)
        networks = stage_networks(experiment, method, network, 0)
        return [part.settings for part in stage_budgets(method, budget, networks, x)]

    assert settings(circuit_network(), 4000) == [1000, 1000, 2000]
    assert settings(nn.Linear(4, 3), 8) == [8, 8, 8]  # the first two stages are rejected later


def test_the_executor_runs_the_circuits_of_the_network():
    mine = ho.AerExecutor()
    network = circuit_network(executor=mine)
    for source in (network, lambda: network):
        study = ho.compare(
            source, methods=["adam"], budget=1, executor=ho.AerExecutor(shots=5), **QUICK
        )
        assert [(run.settings, run.shots) for run in study.runs] == [(1560, 7800)] * 2
    assert network[1].layer.executor is mine
    assert mine.usage == Cost()
    with pytest.raises(UnsupportedError, match="adjoint"):
        ho.compare(
            circuit_network(gradient="adjoint"), methods=["adam"], budget=1,
            executor=ho.AerExecutor(shots=5), **QUICK,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "step", "exceeded"),
    [("5 settings", Cost(5), False), ("5 settings", Cost(6), True), ("5 shots", Cost(1, 6), True)],
)
def test_a_step_must_fit_into_the_budget(budget, step, exceeded):
    part = ho.load_dataset("iris").train
    batches = MeteredBatches(part, None, torch.Generator(), Budget.parse(budget), expected=step)
    assert batches.exceeded() is exceeded
