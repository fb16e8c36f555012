"""The Walsh subspace is the sparse memory without its sine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from torch import nn

import hybridopt as ho
from hybridopt.bridges import WalshSubspace
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError

from .memories import moved
from .networks import RECIPES, bits
from .subspaces import moves_of_training, travelled


def walsh_mlp(**options) -> ho.QuantumNetwork:
    return ho.to_quantum(RECIPES["mlp-double"]().network, "walsh-subspace", **options)


def test_weights_move_along_the_columns():
    quantum = moved(walsh_mlp(num_parameters=5, scale=0.5))
    columns = hadamard(32)[:, quantum.source.columns.numpy()] / np.sqrt(5)
    expected = 0.5 * torch.from_numpy(columns) @ quantum.angles.detach()
    torch.testing.assert_close(travelled(quantum), expected, rtol=0, atol=1e-14)


def test_columns_and_scales_are_those_of_the_sparse_memory():
    network = RECIPES["mlp-double"]().network
    walsh = ho.to_quantum(network, "walsh-subspace", num_parameters=9)
    memory = ho.to_quantum(network, "memory", num_angles=9)
    assert torch.equal(walsh.source.columns, memory.source.columns)
    assert torch.equal(walsh.scales, memory.scales)


def test_sparse_memory_moves_the_other_way_to_first_order():
    """sin(x) = x - x^3/6 + ..., and |x| <= 1e-3 * sqrt(9)."""
    network = RECIPES["mlp-double"]().network
    walsh = moved(ho.to_quantum(network, "walsh-subspace", num_parameters=9))
    memory = moved(ho.to_quantum(network, "twin", num_angles=9))
    for quantum in (walsh, memory):
        quantum.angles.data *= 1e-3 / quantum.angles.detach().abs().max()
    largest = walsh.scales.max().item()
    torch.testing.assert_close(
        travelled(walsh), -travelled(memory), rtol=0, atol=largest * (3e-3) ** 3 / 6
    )


def test_gradient_is_the_projected_one():
    case, quantum = RECIPES["mlp-double"](), walsh_mlp(num_parameters=5, scale=0.5)
    case.loss(quantum).backward()
    case.loss(case.network).backward()
    gradient = torch.cat([p.grad.flatten() for p in case.network.parameters()])
    columns = torch.from_numpy(hadamard(32)[:, quantum.source.columns.numpy()] / np.sqrt(5))
    torch.testing.assert_close(quantum.angles.grad, 0.5 * columns.T @ gradient, rtol=0, atol=1e-12)


def test_all_that_training_reaches_is_a_subspace():
    case, quantum = RECIPES["mlp-double"](), walsh_mlp(num_parameters=5)
    moves = moves_of_training(case, quantum)
    assert torch.linalg.matrix_rank(moves, atol=1e-12) == 5


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (5, 4)])
def test_as_many_numbers_as_weights_reach_everything(shape):
    quantum = ho.to_quantum(nn.Linear(*shape).double(), "walsh-subspace", scale=1.0)
    size = quantum.num_weights
    assert len(quantum.angles) == quantum.num_trainable == size
    jacobian = torch.func.jacrev(lambda z: _moves_at(quantum, z))(quantum.angles.detach())
    assert torch.linalg.matrix_rank(jacobian) == size


def _moves_at(quantum: ho.QuantumNetwork, angles: torch.Tensor) -> torch.Tensor:
    inputs = quantum.network.in_features
    eye = torch.eye(inputs, dtype=torch.float64)
    x = torch.cat([torch.zeros(1, inputs, dtype=torch.float64), eye])
    return torch.func.functional_call(quantum, {"angles": angles}, (x,)).flatten()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_start_changes_no_bit(dtype):
    network = nn.Linear(4, 3).to(dtype)
    network.weight.data[0, :2] = torch.tensor([-0.0, 0.0])
    classical = ho.to_classical(ho.to_quantum(network, "walsh-subspace"))
    assert bits(classical.weight) == bits(network.weight)
    assert bits(classical.bias) == bits(network.bias)


def test_training_goes_through_fit_and_comes_back():
    case = RECIPES["mlp-double"]()
    data = (case.x, case.outputs(case.network).detach() + 0.3)
    quantum = walsh_mlp(num_parameters=12)
    history = ho.fit(quantum, data, optimizer="adam", lr=0.02, epochs=20, seed=0)
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    torch.testing.assert_close(
        case.outputs(ho.to_classical(quantum)), case.outputs(quantum), rtol=0, atol=1e-14
    )


REFUSED = [
    ({"num_parameters": 0}, ArgumentError, "`num_parameters` must be 1 or more, but is 0"),
    ({"num_parameters": 2.0}, ArgumentTypeError, "`num_parameters` must be an int, but is 2.0"),
    ({"num_parameters": 33}, ArgumentError, "num_parameters is 33, but 32 weights have N = 32"),
    ({"scale": 0}, ArgumentError, "Argument `scale` must be more than 0, but is 0"),
    ({"scale": "big"}, UnknownNameError, "Unknown scale 'big'"),
    ({"scale": {"none": 1.0}}, UnknownNameError, "Unknown weight tensor in `scale` 'none'"),
    ({"num_angles": 3}, UnknownNameError, "'num_angles'. Did you mean 'num_parameters'"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=lambda a: str(a)[:30])
def test_unusable_options_are_refused(options, error, message):
    with pytest.raises(error) as caught:
        walsh_mlp(**options)
    assert message in str(caught.value)


def test_options_are_the_documented_ones():
    assert WalshSubspace() == WalshSubspace(num_parameters=None, scale="auto")
