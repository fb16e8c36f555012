"""One method trained once: budgets, order of samples, random streams."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import Budget, Method, Tuning
from hybridopt.compare import budget as budgets
from hybridopt.compare.evaluation import evaluate
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.run import train
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Cost

IRIS = ho.load_dataset("iris", seed=0)  # 120 samples to train on: 4 steps per epoch


def network():
    torch.manual_seed(5)
    return nn.Linear(4, 3)


def trained(text, budget, executor=None, *, layered=False, **options):
    if layered:
        torch.manual_seed(5)
        start = ho.DressedCircuit(4, 3, num_qubits=2, depth=1)
    else:
        start = network()
    experiment = Experiment("mlp:4-3", IRIS, False, Budget.parse(budget), Tuning(1), executor, None)
    return train(experiment, start, IRIS, Method.parse(text), 3, **options)


@pytest.mark.parametrize("scheduler", [None, "cosine"])
def test_epochs_are_those_of_fit(scheduler):
    ours = trained(Method("adam", scheduler=scheduler), "3 epochs")
    plain = network()
    history = ho.fit(plain, IRIS, epochs=3, seed=3, scheduler=scheduler)
    assert torch.equal(ours.network.weight, plain.weight)
    assert [point.train_loss for point in ours.curve[1:]] == history.train_loss
    assert [point.test_metric for point in ours.curve[1:]] == history.metric
    assert [point.test_loss for point in ours.curve[1:]] == history.test_loss
    assert [point.steps for point in ours.curve] == [0, 4, 8, 12]


@pytest.mark.parametrize("budget", ["7 settings", "8 settings", "9 settings", "1050 shots"])
def test_no_step_exceeds_the_budget(budget):
    executor = AerExecutor(shots=100 if "shots" in budget else None)
    ours = trained("memory+adam", budget, executor)
    number = int(budget.split()[0])
    steps = number // 2 if executor.shots is None else number // 200  # two settings per step
    end = ours.curve[-1]
    assert (end.steps, end.settings, end.shots) == (steps, ours.cost.settings, ours.cost.shots)
    assert ours.cost == Cost(2 * steps, 2 * steps * (executor.shots or 0), 2 * steps)
    # evaluation is not counted: one setting before training and one per epoch
    assert executor.usage.settings == 2 * steps + len(ours.curve)


def test_seconds_end_with_the_step_that_exceeds_them(monkeypatch):
    clock = itertools.count(start=100.0, step=1.0)  # one second per call
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: next(clock))
    ours = trained("adam", "2.5 seconds")
    # started at 100; the clock is at 101, 102, 103 after the steps, the third exceeds 2.5
    assert ours.curve[-1].steps == 3


def test_the_first_limit_ends_training():
    assert trained("memory+adam", "1 epoch, 1000 settings").curve[-1].settings == 8
    assert trained("memory+adam", "5 epochs, 4 settings").curve[-1].settings == 4


def test_a_chain_shares_the_budget():
    ours = trained("adam:1 > memory+adam:2 > gd:1", "8 epochs")
    assert [point.stage for point in ours.curve] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert [point.steps for point in ours.curve] == [0, 4, 8, 12, 16, 20, 24, 25, 26]
    assert [point.settings for point in ours.curve] == [0, 0, 0, 8, 16, 24, 32, 32, 32]
    assert isinstance(ours.network, nn.Linear)
    assert ours.trainable == 15


def test_a_chain_is_conversions_between_calls_of_fit():
    ours = trained("adam:1 > twin+adam:1", "2 epochs")
    plain = network()
    ho.fit(plain, IRIS, epochs=1, seed=3)
    assert ours.curve[1].test_loss == evaluate(plain, IRIS.test, None, IRIS.task)[0]
    assert isinstance(ours.network, ho.QuantumNetwork)
    assert not torch.equal(ho.to_classical(ours.network).weight, plain.weight)
    (end,) = trained("adam:1 > twin+adam:1", "2 epochs", watch=False).curve  # evaluated once
    assert end.test_loss == ours.curve[-1].test_loss


def test_random_numbers_depend_on_the_seed_only():
    shared = AerExecutor(shots=50, seed=9)
    first = trained("memory+adam", "1 epoch", shared)
    second = trained("memory+adam", "1 epoch", shared)  # its random stream has advanced
    fresh = trained("memory+adam", "1 epoch", AerExecutor(shots=50, seed=9))
    other = trained("memory+adam", "1 epoch", AerExecutor(shots=50, seed=10))
    assert [p.train_loss for p in first.curve] == [p.train_loss for p in second.curve]
    assert [p.train_loss for p in first.curve] == [p.train_loss for p in fresh.curve]
    assert first.curve[-1].train_loss != other.curve[-1].train_loss
    # an executor without a seed is repeatable, too
    free = [trained("memory+adam", "1 epoch", AerExecutor(shots=50)) for _ in range(2)]
    assert free[0].curve[-1].train_loss == free[1].curve[-1].train_loss


def test_the_seed_of_a_bridge_is_that_of_the_run_by_default():
    free = trained("random-subspace(num_parameters=4)+adam", "1 epoch").network
    fixed = trained("random-subspace(num_parameters=4, seed=0)+adam", "1 epoch").network
    zero = ho.to_quantum(network(), "random-subspace", num_parameters=4)
    assert torch.equal(fixed.source.projection, zero.source.projection)
    assert not torch.equal(free.source.projection, zero.source.projection)
    assert free.num_trainable == 4


def test_a_twin_of_a_bridge_has_the_same_seed():
    circuit, twin = (trained(text, "1 epoch") for text in ("generator", "twin(of=generator)"))
    zero = trained("generator(seed=0)", "1 epoch")
    assert circuit.curve[0].test_loss == pytest.approx(twin.curve[0].test_loss, rel=1e-5)
    # the same steps by the same formula, summed in another order
    assert circuit.curve[-1].test_loss == pytest.approx(twin.curve[-1].test_loss, rel=1e-4)
    assert circuit.curve[-1].test_loss != pytest.approx(zero.curve[-1].test_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "scheduler", "budget"),
    [
        ("adam", "cosine", "4 epochs"), ("adam", "one-cycle", "4 epochs"),
        ("lbfgs", None, "2 epochs"), ("memory+adam:4", "step", "4 epochs"),
        ("sgd", None, "3 epochs"),
    ],
)  # fmt: skip
def test_a_schedule_of_equal_executors_changes_nothing(text, scheduler, budget):
    exact = AerExecutor()
    one, turns = (
        trained(Method(text, scheduler=scheduler, executor=executor), budget, layered=True)
        for executor in (exact, [(exact, 3), (AerExecutor(), 1)])
    )
    for name, weight in one.network.state_dict().items():
        assert torch.equal(weight, turns.network.state_dict()[name])
    assert [p.train_loss for p in one.curve] == [p.train_loss for p in turns.curve]
    assert (one.cost, one.trainable) == (turns.cost, turns.trainable)
    before = len(turns.curve) - 1  # the last epoch; a quarter of four or fewer
    assert [point.stage for point in turns.curve] == [0] * before + [1]


def test_executors_take_turns_within_the_budget():
    exact, sampled = AerExecutor(), AerExecutor(shots=10)
    method = Method("adam", executor=[(exact, 1), (sampled, 1)], batch_size=120)
    ours = trained(method, "4 epochs", layered=True)
    step = ho.DressedCircuit(4, 3, num_qubits=2, depth=1).layer.step_cost(120, input_gradient=True)
    assert ours.cost == Cost(4 * step.settings, 20 * step.settings, ours.cost.runs)
    assert [p.shots > 0 for p in ours.curve] == [False, False, False, True, True]
    half = trained(method, f"{5 * step.settings} settings", layered=True)
    assert half.curve[-1].steps == 4  # two steps for each, and half a step remains for each
    assert ours.network.layer.executor is sampled
    with pytest.raises(ArgumentError, match="`budget`"):
        trained(method, "1 epoch", layered=True)
