"""The twin gives the memory bridge's numbers, and its law when there are shots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit_aer.noise import NoiseModel
from scipy.stats import binom
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, RandomSubspace, Twin
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError, UnsupportedError

from .memories import moved
from .networks import NETWORKS, RECIPES


def trajectory(case, quantum, steps: int) -> torch.Tensor:
    """Losses and angles of some steps of Adam."""
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.05)
    record = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = case.loss(quantum)
        loss.backward()
        optimizer.step()
        record.append(torch.cat([loss.detach().double().view(1), quantum.angles.detach()]))
    return torch.stack(record)


@pytest.mark.parametrize("form", ["residual", "full"])
def test_training_goes_the_way_of_the_memory_bridge(form):
    case = RECIPES["mlp-double"]()
    circuit, twin = (
        ho.to_quantum(case.network, bridge, form=form) for bridge in ("memory", "twin")
    )
    # Adam divides by sqrt(v) + 1e-8, which lifts roundings of 1e-16 far below 1e-10
    actual, expected = trajectory(case, twin, 10), trajectory(case, circuit, 10)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", ["residual", "full"])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_starts_where_the_memory_bridge_starts(recipe, form):
    network = recipe().network
    circuit, twin = (ho.to_quantum(network, bridge, form=form) for bridge in ("memory", "twin"))
    assert torch.equal(circuit.angles, twin.angles)
    assert torch.equal(circuit.scales, twin.scales)
    moved(twin).merge() if form == "residual" else moved(twin)
    moved(circuit).merge() if form == "residual" else moved(circuit)
    weights = zip(
        ho.to_classical(circuit).parameters(), ho.to_classical(twin).parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in weights)


def test_second_derivatives_are_those_of_the_memory_bridge():
    case = RECIPES["mlp-double"]()
    hessians = []
    for bridge in ("memory", "twin"):
        quantum = moved(ho.to_quantum(case.network, bridge))
        (gradient,) = torch.autograd.grad(case.loss(quantum), quantum.angles, create_graph=True)
        basis = torch.eye(len(gradient), dtype=torch.float64)
        hessians += torch.autograd.grad(gradient, quantum.angles, basis, is_grads_batched=True)
    torch.testing.assert_close(*hessians, rtol=0, atol=1e-10)


def sampled_moves(bridge: str, shots: int, repetitions: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch_network = nn.Linear(2, 2).double()
    executor = ho.AerExecutor(shots=shots, seed=3)
    quantum = moved(ho.to_quantum(torch_network, bridge, executor=executor, scale=1.0))
    with torch.no_grad():
        samples = torch.stack([quantum.moves() for _ in range(repetitions)])
    return samples, -torch.sin(quantum.angles.detach())


@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_shots_have_one_mean_and_variance(bridge):
    shots, repetitions = 10, 600
    samples, cosines = sampled_moves(bridge, shots, repetitions)
    never = (1 - 1 / 8) ** shots
    numbers = np.arange(1, shots + 1)
    inverse = float(np.sum(binom.pmf(numbers, shots, 1 / 8) / numbers))
    mean = (1 - never) * cosines
    variance = (1 - cosines**2) * inverse + cosines**2 * never * (1 - never)
    squares = (samples - mean).square()
    assert torch.all((samples.mean(0) - mean).abs() <= 5 * (variance / repetitions).sqrt())
    spread = squares.std(0) / repetitions**0.5
    assert torch.all((squares.mean(0) - variance).abs() <= 5 * spread)


def test_gradient_is_sampled_too():
    case = RECIPES["mlp-double"]()
    quantum = moved(ho.to_quantum(case.network, "twin", executor=ho.AerExecutor(shots=99, seed=1)))
    loss = case.loss(quantum)
    first, second = (
        torch.autograd.grad(loss, quantum.angles, retain_graph=True)[0] for _ in range(2)
    )
    assert not torch.equal(first, second)


def test_evaluation_reads_once_per_change_of_the_angles():
    case = RECIPES["mlp-double"]()
    quantum = ho.to_quantum(case.network, "twin", executor=ho.AerExecutor(shots=99, seed=1)).eval()
    first = case.outputs(quantum)
    assert torch.equal(case.outputs(quantum), first)
    quantum.angles.data[3] += 0.1
    assert not torch.equal(case.outputs(quantum), first)


def test_same_seed_same_numbers():
    case = RECIPES["mlp-double"]()
    runs = [
        trajectory(
            case, ho.to_quantum(case.network, "twin", executor=ho.AerExecutor(shots=50, seed=s)), 3
        )
        for s in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_executor_of_the_memory_bridge_draws_nothing_for_the_twin():
    executor = ho.AerExecutor(shots=50, seed=1)
    quantum = ho.to_quantum(RECIPES["linear"]().network, "twin", executor=executor)
    quantum(torch.ones(1, 3))
    assert executor.state_dict()["calls"] == 0
    assert quantum.executor.shots == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "ful"}, "Unknown form 'ful'. Did you mean 'full'"),
        ({"merge": "epochs"}, "Unknown merge 'epochs'. Did you mean 'epoch'"),
    ],
)
def test_unknown_names_of_options_bring_the_nearest(options, message):
    with pytest.raises(UnknownNameError) as caught:
        Twin(**options)
    assert message in str(caught.value)


def test_circuits_have_no_place_in_a_twin():
    message = r'bridge="twin" takes no keyword argument \'synthesis\'\. Known: form, scale, merge, '
    with pytest.raises(UnknownNameError, match=message):
        ho.to_quantum(nn.Linear(3, 2), "twin", synthesis="gates")


@pytest.mark.parametrize(
    "twin",
    [
        Twin(form="full", scale=9.0),
        Twin(of="memory", form="full", scale=9.0),
        Twin(of=Memory(form="full", scale=9.0, synthesis="gates")),
    ],
    ids=["options", "name", "instance"],
)
def test_of_the_memory_bridge_by_name_or_instance(twin):
    network = RECIPES["mlp-double"]().network
    expected = ho.to_quantum(network, Memory(form="full", scale=9.0))
    quantum = ho.to_quantum(network, twin)
    assert torch.equal(quantum.angles, expected.angles)
    assert torch.equal(quantum.scales, expected.scales)


def test_of_another_bridge_is_what_that_bridge_makes(aer_calls):
    case = RECIPES["mlp-double"]()
    bridge = Generator(num_angles=5)
    torch.manual_seed(1)
    by_bridge = bridge.twin(case.network, executor=ho.AerExecutor())
    torch.manual_seed(1)
    quantum = ho.to_quantum(case.network, Twin(of=bridge))
    assert type(quantum) is type(by_bridge)
    torch.testing.assert_close(quantum.state_dict(), by_bridge.state_dict(), rtol=0, atol=0)
    case.loss(quantum).backward()
    assert quantum.circuit() is None
    assert aer_calls == []


@pytest.mark.parametrize("of", ["memory", "mesh", "generator"])
def test_there_is_no_formula_for_noise(of):
    executor = ho.AerExecutor(noise_model=NoiseModel())
    with pytest.raises(UnsupportedError, match="twin has no formula for noise on gates"):
        ho.to_quantum(nn.Linear(3, 2), Twin(of=of), executor=executor)


def test_of_another_bridge_by_name_has_its_defaults():
    assert Twin(of="generator").of == Generator()


OF = [
    ({"of": "memry"}, UnknownNameError, "Unknown bridge of a twin 'memry'. Did you mean 'memory'"),
    ({"of": "twin"}, UnknownNameError, "Unknown bridge of a twin 'twin'."),
    ({"of": Memory}, ArgumentTypeError, "The bridge of a twin must be given by name, but is"),
    ({"of": RandomSubspace()}, UnsupportedError, "The bridge 'random-subspace' has no twin."),
    ({"of": Twin()}, UnsupportedError, "The bridge 'twin' has no twin. Bridges that have one: mem"),
    (
        {"of": Memory(), "form": "full", "merge": None},
        ArgumentError,
        "Options form were given beside an instance of a bridge. Set them on the instance: Twin(of"
        "=Memory(...)).",
    ),
    ({"of": "mesh", "form": "full"}, UnknownNameError, 'bridge="twin" takes no keyword argument'),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("options", "error", "message"), OF, ids=lambda a: str(a)[:30])
def test_unusable_originals_are_refused(options, error, message):
    with pytest.raises(error) as caught:
        Twin(**options)
    assert message in str(caught.value)


def test_options_are_those_of_the_named_bridge():
    assert Twin(of="generator", depth=3) == Twin(of=Generator(depth=3))
    twin = ho.to_quantum(nn.Linear(3, 2), "twin", of="generator", depth=3)
    assert (twin.bridge, twin.angles.numel()) == (Twin(of="generator", depth=3), 9)
    with pytest.raises(UnknownNameError, match=r'"twin" takes no keyword argument \'depth\''):
        ho.to_quantum(nn.Linear(3, 2), "twin", depth=3)
