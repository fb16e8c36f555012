"""Evaluation of networks: metric, inference time, and the verdict of a judge."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from torch import nn

import hybridopt as ho
from hybridopt.compare import Budget, Tuning
from hybridopt.compare.evaluation import JUDGEMENTS, evaluate, inference_seconds, judge
from hybridopt.compare.resampling import Experiment
from hybridopt.data import Part
from hybridopt.errors import DataError
from hybridopt.execution import AerExecutor

IRIS = ho.load_dataset("iris", seed=0)
DEVICE = GenericBackendV2(4, seed=3)


def network():
    torch.manual_seed(5)
    return nn.Linear(4, 3)


def dressed(executor=None):
    torch.manual_seed(2)
    return ho.DressedCircuit(4, 3, num_qubits=2, depth=2, executor=executor)


def verdict(trained, executor, seed=0):
    budget = Budget.parse(1)
    experiment = Experiment("", IRIS, False, budget, Tuning(1), None, None, judge=executor)
    return judge(experiment, trained, IRIS, seed)


def test_evaluation_keeps_the_modes_and_needs_a_metric():
    parts = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    parts[1].eval()
    loss, score = evaluate(parts, IRIS.test, None, "classification")
    assert (parts.training, parts[1].training) == (True, False)
    outputs = parts[0](IRIS.test.x)
    assert loss == nn.functional.cross_entropy(outputs, IRIS.test.y).item()
    assert score == float((outputs.argmax(1) == IRIS.test.y).double().mean())
    constant = Part(torch.randn(5, 4), torch.ones(5, 3))
    with pytest.raises(DataError, match=r"\(5, 3\)"):
        evaluate(network(), constant, None, "regression")


def test_each_inference_runs_the_circuit_again():
    executor = AerExecutor()
    quantum = ho.to_quantum(network(), executor=executor)
    seconds = inference_seconds(quantum, IRIS.test)
    assert seconds > 0
    assert executor.usage.settings == 5


def test_the_judge_runs_the_trained_angles_on_its_device():
    trained, noisy = dressed(), AerExecutor(noise_model=DEVICE)
    found, same = verdict(trained, noisy), dressed(noisy)
    same.load_state_dict(trained.state_dict())
    assert (found.loss, found.metric) == evaluate(same, IRIS.test, None, IRIS.task)
    assert found.loss != evaluate(trained, IRIS.test, None, IRIS.task)[0]
    assert (found.error, found.evaluations, found.cost.settings) == (None, 1, 30)
    assert trained.layer.executor is not noisy


def test_shots_of_the_judge_give_a_mean_and_its_error():
    trained, shots = dressed(), 40
    exact = verdict(trained, AerExecutor()).loss
    found = [verdict(trained, AerExecutor(shots=shots), seed) for seed in range(20)]
    assert {(one.evaluations, one.cost.shots) for one in found} == {(JUDGEMENTS, 150 * shots)}
    # the reported error is the spread of the reported metric, within 5 errors of a spread of 20
    reported = math.sqrt(np.mean([one.error**2 for one in found]))
    spread = np.std([one.metric for one in found], ddof=1)
    assert reported == pytest.approx(spread, rel=5 / math.sqrt(2 * 19))
    assert found[0].loss != exact
    assert verdict(trained, AerExecutor(shots=shots)).metric == found[0].metric  # by the seed alone
    own = dressed(AerExecutor(shots=shots))
    assert verdict(own, AerExecutor(shots=shots)).metric == found[0].metric


@pytest.mark.parametrize("bridge", ["memory", "generator"])
def test_bridges_keep_their_angles_on_the_judge(bridge):
    options = {"synthesis": "gates"} if bridge == "memory" else {}
    make = partial(ho.to_quantum, bridge=bridge, **options)
    trained = make(nn.Linear(4, 3))
    ho.fit(trained, IRIS, epochs=1, seed=0)
    noisy = AerExecutor(noise_model=GenericBackendV2(5, seed=3))
    same = make(ho.to_classical(trained), executor=noisy)
    assert verdict(trained, AerExecutor()).loss == evaluate(trained, IRIS.test, None, IRIS.task)[0]
    same.load_state_dict(trained.state_dict())  # angles and origin, not decoded weights
    assert verdict(trained, noisy).loss == evaluate(same, IRIS.test, None, IRIS.task)[0]


def test_networks_without_circuits_are_not_judged():
    assert verdict(network(), AerExecutor(shots=5)) is None
    assert verdict(ho.to_quantum(network(), "random-subspace"), AerExecutor(shots=5)) is None
    assert verdict(dressed(), None) is None
    twin = ho.to_quantum(network(), "twin")
    assert verdict(twin, AerExecutor(shots=50)).evaluations == JUDGEMENTS
    assert verdict(twin, AerExecutor()).cost.settings == 0
