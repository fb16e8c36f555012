"""Training in several threads gives the numbers of training alone."""

from __future__ import annotations

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt import _random
from hybridopt.compare import compare
from hybridopt.sklearn import HybridClassifier

SECONDS = 60  # a thread that waits longer has a deadlock


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch):
    monkeypatch.setattr(_random, "SLICE", 0.0)  # a change after each step
    monkeypatch.setattr(_random, "PATIENCE", 0.02)


def samples(seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(24, 3, generator=generator)
    return x, (x @ torch.randn(3, 3, generator=generator)).argmax(1)


def make_mlp(seed):
    with _random.isolated(seed):
        return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.4), nn.Tanh(), nn.Linear(4, 3))


def noisy(outputs, targets):
    """Return a loss that draws from all three global generators."""
    noise = torch.rand(()).item() + np.random.rand() + random.random()  # noqa: NPY002
    return nn.functional.cross_entropy(outputs, targets) * (1 + noise)


def fitted(network, seed, data=None, **options):
    options = {"epochs": 3, "batch_size": 6, "lr": 0.05} | options
    history = ho.fit(network, samples(seed) if data is None else data, seed=seed, **options)
    return history.train_loss, history.settings, [p.tolist() for p in network.parameters()]


def fitted_loader(seed, workers=0):
    loader = DataLoader(
        TensorDataset(*samples(seed)), batch_size=6, shuffle=True, num_workers=workers
    )
    return fitted(make_mlp(seed), seed, loader, batch_size="auto", loss=noisy)


def fitted_circuit(seed, executor=None, **options):
    executor = ho.AerExecutor(shots=50, seed=seed) if executor is None else executor
    return fitted(ho.to_quantum(make_mlp(seed), executor=executor), seed, **options)


def compared(seed):
    study = compare(
        lambda: make_mlp(1), samples(seed), methods=["adam", "memory+adam"], budget="1 epoch",
        seeds=2, tuning=2, executor=ho.AerExecutor(shots=20, seed=seed) if seed else None,
    )  # fmt: skip
    return [(run.test_loss, run.rates, run.shots) for run in study.runs]


def classified(seed):
    x, y = (part.numpy() for part in samples(seed))
    model = HybridClassifier((3,), bridge="memory", shots=40, epochs=2, random_state=seed)
    return model.fit(x, y).predict_proba(x).tolist()


def transferred(seed):
    target = ho.transfer(make_mlp(seed), num_outputs=3, seed=seed)
    return fitted(target, seed, epochs=2)


KINDS = {
    "dropout": lambda seed: fitted(make_mlp(seed), seed),
    "loss": lambda seed: fitted(make_mlp(seed), seed, loss=noisy, optimizer="newton", lr=None),
    "lr": lambda seed: fitted(make_mlp(seed), seed, lr="auto", loss=noisy),
    "loader": fitted_loader,
    "shots": fitted_circuit,
    "compare": compared,
    "sklearn": classified,
    "transfer": transferred,
}


def at_once(*calls):
    """Return the results of calls in threads that start together."""
    together = threading.Barrier(len(calls))

    def run(call):
        together.wait(SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(run, call) for call in calls]
        return [future.result(SECONDS) for future in futures]


def drawn():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002


@pytest.mark.parametrize("kind", KINDS)
def test_each_thread_gives_its_numbers(kind):
    calls = [lambda: KINDS[kind](0), lambda: KINDS[kind](1), lambda: KINDS["dropout"](2)]
    alone = [call() for call in calls]
    before = _random.global_state()
    expected = drawn()
    _random.restore_global_state(before)
    assert at_once(*calls) == alone
    assert drawn() == expected


def test_networks_share_an_exact_executor_and_count_their_own_runs():
    alone = [fitted_circuit(seed, ho.AerExecutor()) for seed in range(3)]
    shared = ho.AerExecutor()
    assert at_once(*(lambda s=seed: fitted_circuit(s, shared) for seed in range(3))) == alone
    assert shared.usage.settings == sum(sum(settings) for _, settings, _ in alone)


def test_networks_that_share_an_executor_with_shots_draw_each_number_once(monkeypatch):
    calls = []
    next_call = ho.AerExecutor._next_call
    monkeypatch.setattr(
        ho.AerExecutor, "_next_call", lambda self: calls.append(next_call(self)) or calls[-1]
    )
    shared = ho.AerExecutor(shots=50, seed=1)
    at_once(*(lambda s=seed: fitted_circuit(s, shared) for seed in range(3)))
    assert sorted(calls) == list(range(len(calls)))


def test_comparisons_share_an_executor_with_shots():
    def study(executor):
        return compare(
            "mlp:3-3", samples(1), methods=["memory+adam"], budget="1 epoch", seeds=2, tuning=None,
            executor=executor,
        ).runs  # fmt: skip

    def losses(runs):
        return [run.test_loss for run in runs]

    shared = ho.AerExecutor(shots=20, seed=3)
    before, alone = shared.state_dict(), losses(study(shared))
    found = at_once(lambda: losses(study(shared)), lambda: losses(study(shared)))
    assert found == [alone, alone]
    assert shared.state_dict() == before


def test_a_long_training_lets_others_progress():
    done, answers, end = threading.Event(), [], time.monotonic() + SECONDS / 2

    def is_done(record, network):
        answers.append(done.is_set())
        return answers[-1] or time.monotonic() > end

    def short():
        fitted(make_mlp(2), 2)
        done.set()

    long = {"epochs": 10**6, "callbacks": [is_done]}
    at_once(lambda: fitted(make_mlp(1), 1, **long), short)
    assert answers[-1]


def in_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(SECONDS)


@pytest.mark.parametrize("runner", [lambda call: call(), in_thread], ids=["same", "new"])
def test_a_callback_may_train(runner):
    inner = []

    def callback(record, network):
        inner.append(runner(lambda: fitted(make_mlp(7), 7)))

    alone, expected = fitted(make_mlp(1), 1), fitted(make_mlp(7), 7)
    assert fitted(make_mlp(1), 1, callbacks=[callback]) == alone
    assert inner == [expected] * 3
    inner.clear()
    found = at_once(
        lambda: fitted(make_mlp(1), 1, callbacks=[callback]), lambda: fitted(make_mlp(2), 2)
    )
    assert found == [alone, fitted(make_mlp(2), 2)]
    assert inner == [expected] * 3


def test_threads_of_a_callback_take_turns():
    inner = []

    def callback(record, network):
        inner.append(at_once(*(lambda s=seed: fitted(make_mlp(s), s) for seed in (7, 8, 9))))

    alone = fitted(make_mlp(1), 1, epochs=1)
    expected = [fitted(make_mlp(seed), seed) for seed in (7, 8, 9)]
    assert fitted(make_mlp(1), 1, epochs=1, callbacks=[callback]) == alone
    assert inner == [expected]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_an_error_in_one_thread_leaves_the_others(error):
    def failing(record, network):
        raise error("on purpose")

    def failed():
        network = make_mlp(1)
        with suppress(KeyError, SystemExit):  # Ctrl-C ends training without an error
            ho.fit(network, samples(1), seed=1, epochs=3, callbacks=[failing])

    before, alone = _random.global_state(), fitted(make_mlp(2), 2)
    expected = drawn()
    _random.restore_global_state(before)
    assert at_once(failed, lambda: fitted(make_mlp(2), 2), failed) == [None, alone, None]
    assert drawn() == expected


@pytest.mark.slow
def test_a_loader_with_processes_in_a_thread():
    alone = fitted_loader(0, workers=1)
    assert in_thread(lambda: fitted_loader(0, workers=1)) == alone


@pytest.mark.parametrize("bridge", ["memory", "mesh", "generator"])
def test_threads_evaluate_one_network(bridge):
    network = ho.to_quantum(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)), bridge)
    x = samples(1)[0]
    expected, interval = network.eval()(x), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        found = at_once(*[lambda: [network(x) for _ in range(10)]] * 3, lambda: [network(x[:1])])
    finally:
        sys.setswitchinterval(interval)
    for y in [*found[0], *found[1], *found[2]]:
        torch.testing.assert_close(y, expected)
    torch.testing.assert_close(found[3][0], expected[:1])
