"""Sparse memory: K angles move all weights along Walsh columns, read and differentiated alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Operator
from scipy.linalg import hadamard
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from tests.bridges.memories import (
    NUM_PLACES,
    NUM_WEIGHTS,
    closed_form,
    closed_form_loss,
    hessian_by_rows,
    moved,
    readout,
)
from tests.bridges.networks import RECIPES, bits

K = 7
both_bridges = pytest.mark.parametrize("bridge", ["memory", "twin"])
both_syntheses = pytest.mark.parametrize("synthesis", ["gates", "diagonal"])


def sparse_mlp(bridge: str = "memory", num_angles: int = K, **options) -> ho.QuantumNetwork:
    network = RECIPES["mlp-double"]().network
    return moved(ho.to_quantum(network, bridge, num_angles=num_angles, **options))


def dense_columns(num_angles: int = K) -> torch.Tensor:
    """H_K on all places, from scipy."""
    columns = hadamard(NUM_PLACES)[:, walsh_columns(num_angles, NUM_WEIGHTS)]
    return torch.from_numpy(columns / np.sqrt(num_angles))


def expected_loss(case, quantum, angles: torch.Tensor) -> torch.Tensor:
    return closed_form_loss(case, quantum, (dense_columns(len(angles)) @ angles)[:NUM_WEIGHTS])


@both_syntheses
def test_circuit_reads_sums_of_walsh_columns(synthesis):
    quantum = sparse_mlp(synthesis=synthesis)
    read = dict(quantum.decode(readout="circuit").named_parameters())
    deltas = dense_columns() @ quantum.angles.detach()
    for name, weight in closed_form(quantum, deltas).items():
        torch.testing.assert_close(read[name].data, weight, rtol=0, atol=1e-10)


@both_bridges
@pytest.mark.parametrize("num_angles", [1, K, NUM_PLACES])
def test_gradient_is_autograd_through_the_dense_columns(bridge, num_angles):
    case, quantum = RECIPES["mlp-double"](), sparse_mlp(bridge, num_angles)
    loss = case.loss(quantum)
    loss.backward()
    angles = quantum.angles.detach().clone().requires_grad_()
    expected = expected_loss(case, quantum, angles)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(quantum.angles.grad, angles.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shots", [None, 64])
def test_a_step_is_two_settings_whatever_the_number_of_angles(shots, aer_calls):
    case, executor = RECIPES["mlp"](), ho.AerExecutor(shots=shots, seed=1)
    quantum = ho.to_quantum(case.network, num_angles=K, executor=executor)
    case.loss(quantum).backward()
    assert aer_calls == [1, 1]
    assert executor.usage == quantum.step_cost() == ho.Cost(2, 2 * (shots or 0), 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@both_bridges
def test_start_changes_no_bit(bridge, dtype):
    network = nn.Linear(4, 3).to(dtype)
    network.weight.data[0, :2] = torch.tensor([-0.0, 0.0])
    classical = ho.to_classical(ho.to_quantum(network, bridge, num_angles=5))
    assert bits(classical.weight) == bits(network.weight)
    assert bits(classical.bias) == bits(network.bias)


def test_folding_moves_the_start_and_changes_no_weight():
    case, quantum = RECIPES["mlp-double"](), sparse_mlp()
    before = case.outputs(ho.to_classical(quantum))
    quantum.merge()
    assert not quantum.angles.any()
    torch.testing.assert_close(case.outputs(ho.to_classical(quantum)), before, rtol=0, atol=1e-14)


def test_the_module_says_how_many_angles():
    quantum = sparse_mlp()
    assert quantum.num_angles == quantum.num_trainable == len(quantum.angles) == K
    assert (quantum.num_weights, quantum.num_qubits) == (NUM_WEIGHTS, 6)
    assert list(quantum.state_dict()) == list(sparse_mlp(num_angles=3).state_dict())
    assert "columns" not in quantum.state_dict()


def test_the_circuit_has_no_more_rotations_than_angles():
    quantum = sparse_mlp()
    chain = quantum.circuit(synthesis="gates")
    assert chain.count_ops()["ry"] == K + 1  # and the one that holds pi/2
    assert chain.count_ops()["cx"] < NUM_PLACES
    assert Operator(chain).equiv(Operator(quantum.circuit(synthesis="diagonal")))
    deltas = (dense_columns() @ quantum.angles.detach()).numpy()
    np.testing.assert_allclose(readout(chain), -np.sin(deltas), rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_hessian_of_four_settings(training, aer_calls):
    case, quantum = RECIPES["mlp-double"](), sparse_mlp().train(training)
    rows = hessian_by_rows(case, quantum)
    assert sum(aer_calls) == 4
    expected = torch.autograd.functional.hessian(
        lambda angles: expected_loss(case, quantum, angles), quantum.angles.detach()
    )
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-10)


# torch itself warns so where it first prepares forward-mode rules
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@both_bridges
def test_torch_func_works(bridge):
    case, quantum = RECIPES["mlp-double"](), sparse_mlp(bridge)
    angles = quantum.angles.detach().clone()

    def loss(given):
        return (functional_call(quantum, {"angles": given}, (case.x,)) - 0.5).square().mean()

    expected = torch.autograd.functional.hessian(lambda a: expected_loss(case, quantum, a), angles)
    torch.testing.assert_close(torch.func.hessian(loss)(angles), expected, rtol=0, atol=1e-10)
    table = torch.stack([angles, -angles])
    losses = torch.func.vmap(loss)(table)
    one_by_one = torch.stack([expected_loss(case, quantum, row) for row in table])
    torch.testing.assert_close(losses, one_by_one, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shots", [None, 50])
def test_evaluation_reads_once_per_change_of_the_angles(shots, aer_calls):
    case = RECIPES["mlp-double"]()
    quantum = sparse_mlp(executor=ho.AerExecutor(shots=shots, seed=1)).eval()
    first = case.outputs(quantum)
    assert torch.equal(case.outputs(quantum), first)
    assert aer_calls == [1]
    quantum.angles.data[3] += 0.1
    case.outputs(quantum)
    assert aer_calls == [1, 1]


def test_newton_minimizes_in_the_subspace():
    torch.manual_seed(3)
    x = torch.randn(40, 4, dtype=torch.float64)
    y = x @ torch.randn(4, 2, dtype=torch.float64)
    network = nn.Linear(4, 2).double()
    losses = []
    for bridge, epochs in (("memory", 8), ("twin", 8)):
        quantum = ho.to_quantum(network, bridge, num_angles=5, scale=3.0)
        ho.fit(quantum, (x, y), optimizer="newton", epochs=epochs, seed=0)
        losses.append((quantum(x) - y).square().mean().item())
    start = (network(x) - y).square().mean().item()
    assert losses[0] < start
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


def test_full_form_with_all_places_holds_the_weights():
    network = RECIPES["mlp-double"]().network
    quantum = ho.to_quantum(network, form="full", num_angles=NUM_PLACES)
    torch.testing.assert_close(
        ho.to_classical(quantum).state_dict(), network.state_dict(), rtol=0, atol=1e-13
    )


def test_twin_is_the_memory_with_as_many_angles():
    case = RECIPES["mlp-double"]()
    memory, twin = sparse_mlp("memory"), sparse_mlp("twin")
    assert torch.equal(memory.angles, twin.angles)
    assert torch.equal(memory.source.columns, twin.source.columns)
    torch.testing.assert_close(case.outputs(twin), case.outputs(memory), rtol=0, atol=1e-10)


REFUSED = [
    ({"num_angles": 0}, ArgumentError, "`num_angles` must be 1 or more, but is 0"),
    ({"num_angles": -3}, ArgumentError, "`num_angles` must be 1 or more, but is -3"),
    ({"num_angles": 33}, ArgumentError, "num_angles is 33, but 32 weights have N = 32"),
    ({"num_angles": 33}, ArgumentError, "have N = 32 Walsh columns. Give 1 to 32, or None"),
    ({"num_angles": 2.0}, ArgumentTypeError, "`num_angles` must be an int, but is 2.0"),
    ({"num_angles": True}, ArgumentTypeError, "`num_angles` must be an int, but is True"),
    (
        {"num_angles": 31, "form": "full"},
        ConversionError,
        "the full form needs all N = 32 angles",
    ),
    ({"frozen": True}, ArgumentError, "frozen=True leaves nothing to train: angles are all that"),
    ({"frozen": 1}, ArgumentTypeError, "`frozen` must be True or False, but is 1"),
]


@pytest.mark.wrong_types
@both_bridges
@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=lambda a: str(a)[:40])
def test_unusable_options_are_refused(bridge, options, error, message, aer_calls):
    with pytest.raises(error) as caught:
        ho.to_quantum(RECIPES["mlp"]().network, bridge, **options)
    assert message in str(caught.value)
    assert aer_calls == []


def test_a_frozen_memory_is_told_where_freezing_makes_sense():
    with pytest.raises(ArgumentError, match=r'bridge="generator" or DressedCircuit'):
        Memory(frozen=True)


def test_sixteen_thousand_weights_take_two_settings():
    network, x = nn.Linear(128, 128, bias=False), torch.randn(8, 128)
    for bridge, settings in (("memory", 2), ("twin", 0)):
        quantum = ho.to_quantum(network, bridge, num_angles=2_000)
        quantum(x).square().mean().backward()
        assert quantum.angles.grad.shape == (2_000,)
        assert quantum.angles.grad.abs().max() > 0
        assert quantum.executor.usage.settings == settings
        assert torch.equal(ho.to_classical(quantum).weight, network.weight)
