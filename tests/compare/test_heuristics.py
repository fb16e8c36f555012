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
        ({"linear": True, "weights": 10_000}, "lbfgs", "curvature pays"),
        ({}, "lbfgs", "curvature pays"),
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
def test_no_bridge_is_ever_the_choice(weights, task, gpu):
    facts = ProblemFacts(weights, 500, task, linear=False, gpu=gpu)
    found = first_choice(facts)
    assert not set(found.method.split("+")) & set(BRIDGES)
    assert "No bridge is recommended for speed" in found.reason
    assert ('device="cuda"' in found.reason) == (gpu and weights >= 1_000_000)


def test_the_first_rule_is_true():
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
    """No linear layer, though its class derives from one."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class Chain(nn.Sequential):
    """As `Bent`, for a container."""

    def forward(self, x):
        return torch.relu(super().forward(x))


def altered(**hooks):
    network = nn.Linear(4, 3)
    if hooks:
        network.register_forward_hook(lambda module, x, y: y.relu())
    else:
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
        (altered(), False),
        (altered(hook=True), False),
        (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), False),
        (nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1)), False),
    ],
)
def test_linear_in_the_weights(network, linear):
    assert is_linear(network) is linear


def test_what_it_looks_at():
    found = facts_of(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
                         ho.load_dataset("iris"))  # fmt: skip
    assert (found.weights, found.samples) == (43, 120)
    assert (found.task, found.linear, found.circuits) == ("classification", False, False)
    layer = ho.CircuitLayer(
        *ho.load_circuit("hardware_efficient"), executor=ho.AerExecutor(shots=10)
    )
    width = len(layer.input_parameters)
    head = nn.Sequential(nn.Linear(4, width), layer, nn.LazyLinear(3))
    head(torch.zeros(1, 4))
    found = facts_of(head, ho.load_dataset("iris"))
    assert (found.circuits, found.shots) == (True, True)


def test_sizes_of_the_bridge_in_words():
    text = str(ho.recommend("mlp:64-20-10", "digits"))
    quantum = ho.to_quantum(
        nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10)), "memory"
    )
    assert f"takes {quantum.num_qubits} qubits and two settings a step" in text
    assert text.startswith("adam: 1,510 trainable numbers, 1,437 samples")


def test_what_is_refused():
    with pytest.raises(ArgumentError, match="nothing to train"):
        ho.recommend(nn.Tanh(), "iris")
    with pytest.raises(DataError, match="cannot take x"):
        ho.recommend(nn.Linear(5, 3), "iris")
