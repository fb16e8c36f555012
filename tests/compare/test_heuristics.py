from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import BRIDGES
from hybridopt.compare.heuristics import ProblemFacts, facts_of, first_choice, is_linear
from hybridopt.errors import ArgumentError, DataError

SMALL = ProblemFacts(100, 200, "regression", linear=False)


@pytest.mark.parametrize(
    ("change", "method", "words"),
    [
        ({"linear": True}, "newton", "one step"),
        ({"linear": True, "task": "classification"}, "newton", "convex"),
        ({"linear": True, "weights": 10_000}, "lbfgs", "curvature saves"),
        ({}, "lbfgs", "curvature saves"),
        ({"samples": 20_000}, "adam", "minibatches"),
        ({"weights": 20_000}, "adam", "minibatches"),
        ({"task": "classification"}, "adam", "minibatches"),
        ({"circuits": True}, "adam", 'gradient="adjoint"'),
        ({"circuits": True, "shots": True}, "adam", "noisy"),
    ],
)
def test_rules(change, method, words):
    found = first_choice(ProblemFacts(**{**SMALL.__dict__, **change}))
    assert found.method == method
    assert words in found.reason
    assert found.sources
    assert all(source in str(found) for source in found.sources)


@pytest.mark.parametrize(
    ("weights", "task", "gpu"),
    [(1, "regression", True), (10_000, "classification", False), (10**7, "regression", True)],
)
def test_no_rule_takes_a_bridge(weights, task, gpu):
    facts = ProblemFacts(weights, 500, task, linear=False, gpu=gpu)
    found = first_choice(facts)
    assert not set(found.method.split("+")) & set(BRIDGES)
    assert ('device="cuda"' in found.reason) == (gpu and weights >= 1_000_000)


def test_one_newton_step_is_least_squares():
    data = ho.load_dataset("diabetes")
    network = nn.Linear(10, 1)
    choice = ho.recommend(network, data)
    assert choice.method == "newton"
    ho.fit(network, data, optimizer=choice.method, epochs=1)
    x = torch.cat([data.train.x, torch.ones(len(data.train), 1)], 1)
    best = torch.linalg.lstsq(x.double(), data.train.y.double()).solution
    # least squares by the normal equations in float32, condition number of the data about 500
    torch.testing.assert_close(network.weight.double(), best[:10].T, rtol=0, atol=1e-3)


class Bent(nn.Linear):
    def forward(self, x):
        return torch.relu(super().forward(x))


class Chain(nn.Sequential):
    def forward(self, x):
        return torch.relu(super().forward(x))


def hooked():
    network = nn.Linear(4, 3)
    network.register_forward_hook(lambda module, x, y: y.relu())
    return network


def replaced():
    network = nn.Linear(4, 3)
    network.forward = lambda x: x[:, :3]
    return network


@pytest.mark.parametrize(
    ("network", "linear"),
    [
        (nn.Linear(4, 3), True),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), True),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh()), False),
        (Bent(4, 3), False),
        (Chain(nn.Linear(4, 3)), False),
        (hooked(), False),
        (replaced(), False),
        (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), False),
        (nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1)), False),
    ],
)
def test_linear_in_the_weights(network, linear):
    assert is_linear(network) is linear


def test_facts_of_network_and_data():
    mlp = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    found = facts_of(mlp, ho.load_dataset("iris"))
    assert (found.weights, found.samples) == (43, 120)
    assert (found.task, found.linear, found.circuits) == ("classification", False, False)
    executor = ho.AerExecutor(shots=10)
    head = ho.DressedCircuit(4, 3, num_qubits=3, depth=1, executor=executor)
    found = facts_of(head, ho.load_dataset("iris"))
    assert (found.circuits, found.shots) == (True, True)


def test_the_cost_of_a_bridge_is_named():
    text = str(ho.recommend("mlp:64-20-10", "digits"))
    mlp = nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
    for words in ("1,510", "1,437 samples", f"{ho.to_quantum(mlp, 'memory').num_qubits} qubits"):
        assert words in text


def test_networks_that_cannot_be_trained():
    with pytest.raises(ArgumentError, match="frozen"):
        ho.recommend(nn.Tanh(), "iris")
    with pytest.raises(DataError, match="shape"):
        ho.recommend(nn.Linear(5, 3), "iris")
