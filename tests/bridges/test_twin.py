"""Twins of bridges: the same numbers, or with shots the same distribution, without a circuit."""

from __future__ import annotations

import pytest
import torch
from qiskit_aer.noise import NoiseModel
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Twin
from hybridopt.errors import UnsupportedError

from .memories import moved
from .networks import NETWORKS, RECIPES


def trajectory(case, quantum, steps: int) -> torch.Tensor:
    """Return losses and angles of some steps of Adam."""
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.05)
    record = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = case.loss(quantum)
        loss.backward()
        optimizer.step()
        record.append(torch.cat([loss.detach().double().view(1), quantum.angles.detach()]))
    return torch.stack(record)


@pytest.mark.parametrize("options", [{}, {"form": "full"}, {"num_angles": 7}], ids=str)
def test_training_is_that_of_the_memory(options):
    case = RECIPES["mlp-double"]()
    circuit, twin = (ho.to_quantum(case.network, b, **options) for b in ("memory", "twin"))
    # Adam divides by sqrt(v) + 1e-8, so roundings of 1e-16 stay far below 1e-10
    actual, expected = trajectory(case, twin, 10), trajectory(case, circuit, 10)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", ["residual", "full"])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_start_is_that_of_the_memory(recipe, form):
    network = recipe().network
    circuit, twin = (ho.to_quantum(network, bridge, form=form) for bridge in ("memory", "twin"))
    assert torch.equal(circuit.angles, twin.angles)
    assert torch.equal(circuit.scales, twin.scales)
    for quantum in (circuit, twin):
        moved(quantum)
        if form == "residual":
            quantum.merge()
    weights = zip(
        ho.to_classical(circuit).parameters(), ho.to_classical(twin).parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in weights)


def test_gradient_is_sampled():
    case = RECIPES["mlp-double"]()
    quantum = moved(ho.to_quantum(case.network, "twin", executor=ho.AerExecutor(shots=99, seed=1)))
    loss = case.loss(quantum)
    first, second = (
        torch.autograd.grad(loss, quantum.angles, retain_graph=True)[0] for _ in range(2)
    )
    assert not torch.equal(first, second)


def test_seed_determines_the_training():
    case = RECIPES["mlp-double"]()
    runs = []
    for seed in (1, 1, 2):
        executor = ho.AerExecutor(shots=50, seed=seed)
        runs.append(trajectory(case, ho.to_quantum(case.network, "twin", executor=executor), 3))
        assert executor.state_dict()["calls"] == 0
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    "twin",
    [
        Twin(form="full", scale=9.0),
        Twin(of="memory", form="full", scale=9.0),
        Twin(of=Memory(form="full", scale=9.0, synthesis="gates")),
    ],
    ids=["options", "name", "instance"],
)
def test_memory_by_options_name_or_instance(twin):
    network = RECIPES["mlp-double"]().network
    expected = ho.to_quantum(network, Memory(form="full", scale=9.0))
    quantum = ho.to_quantum(network, twin)
    assert torch.equal(quantum.angles, expected.angles)
    assert torch.equal(quantum.scales, expected.scales)


def test_another_bridge_by_name_or_instance(aer_calls):
    assert Twin(of="generator").of == Generator()
    assert Twin(of="generator", depth=3) == Twin(of=Generator(depth=3))
    twin = ho.to_quantum(nn.Linear(3, 2), "twin", of="generator", depth=3)
    assert (twin.bridge, twin.angles.numel()) == (Twin(of="generator", depth=3), 9)
    bridge = Generator(num_angles=5)
    by_bridge = bridge.twin(nn.Linear(3, 2), executor=ho.AerExecutor())
    quantum = ho.to_quantum(nn.Linear(3, 2), Twin(of=bridge))
    assert type(quantum) is type(by_bridge)
    assert torch.equal(quantum.angles, by_bridge.angles)
    quantum(torch.ones(1, 3)).sum().backward()
    assert aer_calls == []


@pytest.mark.parametrize("of", ["memory", "mesh", "generator"])
def test_executors_with_noise_are_rejected(of):
    executor = ho.AerExecutor(noise_model=NoiseModel())
    with pytest.raises(UnsupportedError, match=r"`executor` .*`noise_model`"):
        ho.to_quantum(nn.Linear(3, 2), Twin(of=of), executor=executor)
