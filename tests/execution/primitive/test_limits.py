"""Limits that refuse a job before it is sent, and end training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.primitives import StatevectorSampler

import hybridopt as ho
from hybridopt.errors import ArgumentError, LimitError
from tests.execution.primitive.service import Service, TaggedSampler
from tests.execution.primitive.test_executor import W, X, circuit, small_job


@pytest.mark.parametrize(
    ("limits", "spent"),
    [
        ({"max_shots": 700}, ho.Cost(12, 600, 12, 1)),
        ({"max_jobs": 1}, ho.Cost(12, 600, 12, 1)),
        ({"max_jobs": 3, "max_rows": 3}, ho.Cost(12, 600, 12, 2)),
    ],
    ids=["shots", "jobs", "jobs of one call"],
)
def test_a_limit_refuses_before_anything_is_sent(limits, spent):
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=50, **limits)
    executor.run(small_job())
    with pytest.raises(LimitError, match=rf"`{next(iter(limits))}` must be greater"):
        executor.submit(small_job())
    assert executor.usage == spent


def test_seconds_of_the_service_are_limited(tmp_path):
    sampler = TaggedSampler(Service(tmp_path))
    executor = ho.PrimitiveExecutor(sampler, shots=5, max_seconds=4.0)
    costs = [executor.run(small_job()).cost for _ in range(2)]
    assert [cost.seconds for cost in costs] == [2.5, 2.5]
    with pytest.raises(LimitError, match="`max_seconds`"):
        executor.run(small_job())
    assert executor.usage.seconds == 5.0


@pytest.mark.parametrize(("optimizer", "options"), [("sgd", {}), ("lbfgs", {"max_iter": 2})])
def test_fit_ends_with_the_last_complete_step(optimizer, options):
    limit = 7 if optimizer == "sgd" else 11
    layers, histories = [], []
    for max_jobs in (None, limit):
        executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=20, seed=1, max_jobs=max_jobs)
        layer = ho.CircuitLayer(circuit(), X, W, ["ZII"], executor, initial=[0.1, 0.2, 0.3])
        data = torch.linspace(-1, 1, 8).reshape(4, 2), torch.zeros(4, 1)
        steps: list[np.ndarray] = []

        class Steps(ho.training.Callback):
            def on_step_end(self, loss, network, steps=steps):
                steps.append(network.weight.detach().numpy().copy())

        history = ho.fit(
            layer, data, optimizer=optimizer, epochs=4, batch_size=None, callbacks=[Steps()],
            **options,
        )  # fmt: skip
        layers.append((layer, steps))
        histories.append(history)
    (_, every), (stopped, done) = layers
    assert [one.status for one in histories] == ["epochs", "limit"]
    assert 0 < len(done) < len(every)
    np.testing.assert_array_equal(done, every[: len(done)])
    np.testing.assert_array_equal(stopped.weight.detach().numpy(), done[-1])
    assert "`max_jobs`" in histories[1].reason
    assert str(stopped.executor.usage) in histories[1].reason
    assert stopped.executor.usage.jobs <= limit


def test_a_range_test_ends_at_a_limit():
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=5, max_jobs=2)
    layer = ho.CircuitLayer(circuit(), X, W, ["ZII"], executor, initial=[0.1, 0.2, 0.3])
    history = ho.fit(layer, (torch.rand(4, 2), torch.rand(4, 1)), lr="auto", epochs=1)
    assert history.status == "limit"
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("name", ["max_shots", "max_jobs", "max_seconds", "max_rows"])
def test_limits_are_positive(name):
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        ho.PrimitiveExecutor(StatevectorSampler(), **{name: 0})
