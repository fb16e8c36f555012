"""Simultaneous perturbation: mean, cost, and stream of directions."""

from __future__ import annotations

import math

import pytest
import torch

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import Probabilities
from hybridopt.gradients import Spsa
from tests.nn.layers import family, layer_of, tensors

NAMES = ["controlled_rotations", "expressions", "repeated_parameters", "no_inputs", "no_weights"]


def slopes(layer, name, batch=2):
    x, _ = tensors(name, batch)
    cotangent = torch.linspace(-1, 2, 3 * batch, dtype=torch.float64).reshape(batch, 3)
    found = torch.autograd.grad(layer(x), [x, layer.weight], cotangent, allow_unused=True)
    return torch.cat([slope.flatten() for slope in found if slope is not None])


def check_mean(layer, name, bias):
    estimates = torch.stack([slopes(layer, name) for _ in range(40)])
    error = estimates.std(0) / math.sqrt(40)
    assert ((estimates.mean(0) - slopes(layer_of(name), name)).abs() <= 5 * error + bias).all()


@pytest.mark.parametrize("name", NAMES)
def test_mean_is_the_gradient(name):
    rule = Spsa(perturbation=1e-3, seed=4)
    check_mean(layer_of(name, gradient=rule, executor=AerExecutor(seed=2)), name, 1e-5)


def test_mean_with_shots_is_the_gradient():
    layer = layer_of(NAMES[0], gradient="spsa", executor=AerExecutor(shots=100, seed=2))
    # the bias is of second order in the perturbation; third derivatives are about 10
    check_mean(layer, NAMES[0], bias=0.2**2 / 2 * 10)


def test_one_angle_gives_a_central_difference():
    known = family("global_phase")
    x = torch.tensor([[0.4, 0.1]], dtype=torch.float64)
    found, expected = (
        torch.autograd.grad(layer(x), layer.weight)[0]
        for rule in (Spsa(perturbation=1e-4), "parameter-shift")
        for layer in [
            CircuitLayer(
                known.circuit, known.inputs, known.weights, ["ZZZ"],
                gradient=rule, initial=torch.tensor([0.3, 0.8]).double(),
            )
        ]
    )  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("directions", [1, 3])
def test_each_direction_takes_two_settings(directions):
    executor = AerExecutor()
    layer = layer_of("two_qubit_rotations", gradient=Spsa(directions=directions), executor=executor)
    outputs = layer(tensors("two_qubit_rotations", 4)[0])
    before = executor.usage
    outputs.sum().backward()
    settings = len(layer.readout.settings(layer.program))
    assert (executor.usage - before).settings == 2 * directions * 4 * settings


def test_directions_depend_on_seed_and_position():
    def draw(seed, rule_seed=None, steps=2):
        layer = layer_of(
            "controlled_rotations", gradient=Spsa(seed=rule_seed), executor=AerExecutor(seed=seed)
        )
        return [slopes(layer, "controlled_rotations") for _ in range(steps)]

    first, again, other = draw(1), draw(1), draw(2)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(draw(1, rule_seed=5)[0], draw(2, rule_seed=5)[0])


@pytest.mark.parametrize("alone", ["inputs", "weights"])
def test_all_directions_of_one_kind_are_one_job(alone, monkeypatch):
    name, jobs = "two_qubit_rotations", []
    executor = AerExecutor(seed=3)
    run = executor.run
    monkeypatch.setattr(executor, "run", lambda job: jobs.append(job) or run(job))
    rule = Spsa(directions=5)

    def gradient():
        executor.load_state_dict({**executor.state_dict(), "calls": 7})
        jobs.clear()
        x = tensors(name, 4)[0].detach().requires_grad_(alone == "inputs")
        layer = layer_of(name, gradient=rule, executor=executor)
        layer.weight.requires_grad_(alone == "weights")
        outputs = layer(x)
        return torch.autograd.grad(outputs.sum(), x if alone == "inputs" else layer.weight)[0]

    together = gradient()
    shape = (1, 40) if alone == "inputs" else (10, 4)
    assert [(len(job.shared), len(job.rows)) for job in jobs[1:]] == [shape]
    for memory, pieces in ((1, 5), (2 * bytes_of_one(jobs[1]), 3)):
        monkeypatch.setattr("hybridopt.gradients.spsa.table_size", lambda _, size=memory: size)
        torch.testing.assert_close(gradient(), together, rtol=0, atol=1e-12)  # same directions
        assert len(jobs) == 1 + pieces


def bytes_of_one(job):
    """Return the memory of angles and outputs of one of five directions [bytes]."""
    outputs = len(job.rows) * len(job.shared) * job.readout.num_outputs(job.program)
    moved = job.rows if len(job.shared) == 1 else job.shared
    return 8 * (moved.size + outputs) // 5


def test_more_directions_reduce_the_spread():
    def spread(directions):
        layer = layer_of(
            "two_qubit_rotations",
            gradient=Spsa(directions=directions, seed=1),
            executor=AerExecutor(seed=1),
        )
        return torch.stack([slopes(layer, "two_qubit_rotations") for _ in range(25)]).std(0).mean()

    assert spread(1) / spread(4) == pytest.approx(2, rel=0.4)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_forward_mode_gives_the_same_estimate():
    name = "controlled_rotations"
    layer = layer_of(name, gradient=Spsa(seed=3, directions=60, perturbation=1e-3))
    x, _ = tensors(name, 2)
    directions = torch.tensor([[0.3, -0.7], [0.9, 0.2]], dtype=torch.float64)

    def function(x):
        return layer(x).sum()

    _, slope = torch.func.jvp(function, (x.detach(),), (directions,))
    expected = (torch.autograd.grad(layer_of(name)(x).sum(), x)[0] * directions).sum()
    assert slope.item() == pytest.approx(expected.item(), abs=1.0)


def test_post_selected_probabilities_can_be_estimated():
    known = family("controlled_rotations")
    readout = Probabilities(qubits=(0, 2), given=((1, 1),))
    weights = torch.tensor(known.samples()[1])
    draws = 150
    rule = Spsa(directions=draws, perturbation=1e-3, seed=1)
    layer = CircuitLayer(
        known.circuit, known.inputs, known.weights, readout, gradient=rule, initial=weights
    )
    x = torch.tensor(known.samples(1)[0])
    (found,) = torch.autograd.grad(layer(x)[0, 1], layer.weight)
    expected = []
    for unit in torch.eye(3, dtype=torch.float64):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                layer.weight.copy_(weights + sign * 1e-5 * unit)
                values.append(layer(x)[0, 1].item())
        expected.append((values[0] - values[1]) / 2e-5)
    norm = math.sqrt(sum(e * e for e in expected))
    for one, other in zip(found.tolist(), expected, strict=True):
        assert one == pytest.approx(other, abs=5 * norm / math.sqrt(draws) + 1e-5)


REFUSED = [
    ({"perturbation": 0.0}, ArgumentError, "`perturbation`"),
    ({"perturbation": math.nan}, ArgumentError, "`perturbation`"),
    ({"perturbation": "small"}, ArgumentTypeError, "`perturbation`"),
    ({"directions": 0}, ArgumentError, "`directions`"),
    ({"seed": -1}, ArgumentError, "`seed`"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("arguments", "error", "name"), REFUSED, ids=range(len(REFUSED)))
def test_wrong_options_raise(arguments, error, name):
    with pytest.raises(error, match=name):
        Spsa(**arguments)
