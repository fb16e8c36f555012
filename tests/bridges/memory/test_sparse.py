"""Sparse memory: K angles move all weights along Walsh columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Operator
from torch import nn

import hybridopt as ho
from tests.bridges.memories import (
    NUM_PLACES,
    NUM_WEIGHTS,
    closed_form,
    closed_form_loss,
    dense_columns,
    moved,
    readout,
)
from tests.bridges.networks import RECIPES

K = 7


def sparse_mlp(bridge: str = "memory", num_angles: int = K, **options) -> ho.QuantumNetwork:
    network = RECIPES["mlp-double"]().network
    return moved(ho.to_quantum(network, bridge, num_angles=num_angles, **options))


@pytest.mark.parametrize("synthesis", ["gates", "multiplexer"])
def test_circuit_reads_sums_of_walsh_columns(synthesis):
    quantum = sparse_mlp(synthesis=synthesis)
    read = dict(quantum.decode(readout="circuit").named_parameters())
    for name, weight in closed_form(quantum, quantum.angles.detach()).items():
        torch.testing.assert_close(read[name].data, weight, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bridge", ["memory", "twin"])
@pytest.mark.parametrize("num_angles", [1, K, NUM_PLACES])
def test_gradient_is_autograd_through_the_dense_columns(bridge, num_angles):
    case, quantum = RECIPES["mlp-double"](), sparse_mlp(bridge, num_angles)
    loss = case.loss(quantum)
    loss.backward()
    angles = quantum.angles.detach().clone().requires_grad_()
    expected = closed_form_loss(case, quantum, angles)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(quantum.angles.grad, angles.grad, rtol=0, atol=1e-10)


def test_merge_changes_no_weight():
    case, quantum = RECIPES["mlp-double"](), sparse_mlp()
    before = case.outputs(ho.to_classical(quantum))
    quantum.merge()
    assert not quantum.angles.any()
    torch.testing.assert_close(case.outputs(ho.to_classical(quantum)), before, rtol=0, atol=1e-14)


def test_circuit_has_one_rotation_per_angle():
    quantum = sparse_mlp()
    assert quantum.num_angles == quantum.num_trainable == len(quantum.angles) == K
    assert (quantum.num_weights, quantum.num_qubits) == (NUM_WEIGHTS, 6)
    assert "columns" not in quantum.state_dict()
    chain = quantum.circuit(synthesis="gates")
    assert chain.count_ops()["ry"] == K + 1  # one more holds pi/2
    assert chain.count_ops()["cx"] < NUM_PLACES
    assert Operator(chain).equiv(Operator(quantum.circuit(synthesis="multiplexer")))
    deltas = dense_columns(quantum.source.columns) @ quantum.angles.detach()
    np.testing.assert_allclose(readout(chain), -np.sin(deltas.numpy()), rtol=0, atol=1e-12)


def test_newton_minimizes_in_the_subspace():
    torch.manual_seed(3)
    x = torch.randn(40, 4, dtype=torch.float64)
    y = x @ torch.randn(4, 2, dtype=torch.float64)
    network = nn.Linear(4, 2).double()
    losses = []
    for bridge in ("memory", "twin"):
        quantum = ho.to_quantum(network, bridge, num_angles=5, scale=3.0)
        ho.fit(quantum, (x, y), optimizer="newton", epochs=8, seed=0)
        losses.append((quantum(x) - y).square().mean().item())
    assert losses[0] < (network(x) - y).square().mean().item()
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


def test_full_form_with_all_places_holds_the_weights():
    network = RECIPES["mlp-double"]().network
    quantum = ho.to_quantum(network, form="full", num_angles=NUM_PLACES)
    torch.testing.assert_close(
        ho.to_classical(quantum).state_dict(), network.state_dict(), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize(("bridge", "settings"), [("memory", 2), ("twin", 0)])
@pytest.mark.parametrize("shots", [None, 64])
def test_step_takes_two_settings_for_any_number_of_angles(bridge, settings, shots):
    network, x = nn.Linear(128, 128, bias=False), torch.randn(8, 128)
    executor = ho.AerExecutor(shots=shots, seed=1)
    quantum = ho.to_quantum(network, bridge, num_angles=2_000, executor=executor)
    quantum(x).square().mean().backward()
    assert quantum.angles.grad.shape == (2_000,)
    assert quantum.angles.grad.abs().max() > 0
    expected = ho.Cost(settings, settings * (shots or 0), settings)
    assert quantum.executor.usage == quantum.step_cost() == expected
