"""Budgets to a step, the order of samples, streams of chance: one method trained once."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import Budget, Method, Tuning
from hybridopt.compare import budget as budgets
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.run import evaluate, inference_seconds, train
from hybridopt.data import Part
from hybridopt.errors import DataError
from hybridopt.execution import AerExecutor, Cost

IRIS = ho.load_dataset("iris", seed=0)  # 120 samples to train on: 4 steps an epoch


def network():
    torch.manual_seed(5)
    return nn.Linear(4, 3)


def trained(text, budget, executor=None, **options):
    experiment = Experiment("mlp:4-3", IRIS, False, Budget.parse(budget), Tuning(1), executor, None)
    return train(experiment, network(), IRIS, Method.parse(text), 3, **options)


def test_epochs_are_those_of_fit():
    ours = trained("adam", "3 epochs")
    plain = network()
    history = ho.fit(plain, IRIS, epochs=3, seed=3)
    assert torch.equal(ours.network.weight, plain.weight)
    assert [point.train_loss for point in ours.curve[1:]] == history.train_loss
    assert [point.test_metric for point in ours.curve[1:]] == history.metric
    assert [point.test_loss for point in ours.curve[1:]] == history.test_loss
    assert [point.steps for point in ours.curve] == [0, 4, 8, 12]


@pytest.mark.parametrize("settings", [7, 8, 9])
def test_settings_are_kept_to_the_step(settings):
    executor = AerExecutor()
    ours = trained("memory+adam", f"{settings} settings", executor)
    steps = settings // 2  # a step takes two, and none is begun that would exceed them
    end = ours.curve[-1]
    assert (end.steps, end.settings, ours.cost.settings) == (steps, 2 * steps, 2 * steps)
    # what evaluation reads stands beside: once at the start, and once an epoch
    assert executor.usage.settings == 2 * steps + len(ours.curve)


def test_shots_are_kept_to_the_step():
    ours = trained("memory+adam", "1050 shots", AerExecutor(shots=100))
    assert ours.cost == Cost(10, 1000, 10)
    assert ours.curve[-1].shots == 1000


def test_seconds_end_with_the_step_that_passes_them(monkeypatch):
    clock = itertools.count(start=100.0, step=1.0)  # a second for each look at it
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: next(clock))
    ours = trained("adam", "2.5 seconds")
    # started at 100; after the steps the clock says 101, 102, 103: the third passes 2.5
    assert ours.curve[-1].steps == 3


def test_the_first_limit_stops():
    assert trained("memory+adam", "1 epoch, 1000 settings").curve[-1].settings == 8
    assert trained("memory+adam", "5 epochs, 4 settings").curve[-1].settings == 4


def test_a_chain_shares_the_budget_out():
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
    moved = ho.to_classical(ours.network)
    assert not torch.equal(moved.weight, plain.weight)


def test_chance_follows_from_the_seed_alone():
    shared = AerExecutor(shots=50, seed=9)
    first = trained("memory+adam", "1 epoch", shared)
    second = trained("memory+adam", "1 epoch", shared)  # its stream has moved on
    fresh = trained("memory+adam", "1 epoch", AerExecutor(shots=50, seed=9))
    other = trained("memory+adam", "1 epoch", AerExecutor(shots=50, seed=10))
    assert [p.train_loss for p in first.curve] == [p.train_loss for p in second.curve]
    assert [p.train_loss for p in first.curve] == [p.train_loss for p in fresh.curve]
    assert first.curve[-1].train_loss != other.curve[-1].train_loss
    # without a seed of its own, too: a study can be made again
    free = [trained("memory+adam", "1 epoch", AerExecutor(shots=50)) for _ in range(2)]
    assert free[0].curve[-1].train_loss == free[1].curve[-1].train_loss


def test_a_subspace_is_drawn_anew_by_the_seed_unless_it_is_given():
    free = trained("random-subspace(num_parameters=4)+adam", "1 epoch").network
    fixed = trained("random-subspace(num_parameters=4, seed=0)+adam", "1 epoch").network
    zero = ho.to_quantum(network(), "random-subspace", num_parameters=4)
    assert torch.equal(fixed.source.projection, zero.source.projection)
    assert not torch.equal(free.source.projection, zero.source.projection)
    assert free.num_trainable == 4


def test_a_twin_named_after_a_bridge_draws_what_the_bridge_draws():
    circuit, twin = (trained(text, "1 epoch") for text in ("generator", "twin(of=generator)"))
    zero = trained("generator(seed=0)", "1 epoch")
    assert circuit.curve[0].test_loss == pytest.approx(twin.curve[0].test_loss, rel=1e-5)
    # the same steps by the same formula, summed in another order
    assert circuit.curve[-1].test_loss == pytest.approx(twin.curve[-1].test_loss, rel=1e-4)
    assert circuit.curve[-1].test_loss != pytest.approx(zero.curve[-1].test_loss, rel=1e-4)


def test_schedules_run_over_the_epochs_of_the_budget():
    ours = trained(Method("adam", scheduler="cosine"), "3 epochs")
    plain = network()
    ho.fit(plain, IRIS, epochs=3, seed=3, scheduler="cosine")
    assert torch.equal(ours.network.weight, plain.weight)


def test_unwatched_it_is_evaluated_once():
    ours = trained("adam:1 > memory+adam:1", "2 epochs", watch=False)
    assert len(ours.curve) == 1
    watched = trained("adam:1 > memory+adam:1", "2 epochs")
    assert ours.curve[0].test_loss == watched.curve[-1].test_loss


def test_evaluation_leaves_the_modes_and_needs_a_metric():
    parts = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    parts[1].eval()
    loss, score = evaluate(parts, IRIS.test, None, "classification")
    assert (parts.training, parts[1].training) == (True, False)
    outputs = parts[0](IRIS.test.x)
    assert loss == nn.functional.cross_entropy(outputs, IRIS.test.y).item()
    assert score == float((outputs.argmax(1) == IRIS.test.y).double().mean())
    constant = Part(torch.randn(5, 4), torch.ones(5, 3))
    with pytest.raises(DataError, match="have neither accuracy nor R\\^2"):
        evaluate(network(), constant, None, "regression")


def test_inference_reads_the_circuit_anew_each_time():
    executor = AerExecutor()
    quantum = ho.to_quantum(network(), executor=executor)
    seconds = inference_seconds(quantum, IRIS.test)
    assert seconds > 0
    assert executor.usage.settings == 5
