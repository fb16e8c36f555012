"""Random and Walsh subspaces: linear moves of the weights in K dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from torch import nn
from torch.nn.utils import parameters_to_vector

import hybridopt as ho
from hybridopt.bridges import RandomSubspace, WalshSubspace

from .memories import moved
from .networks import RECIPES

both_subspaces = pytest.mark.parametrize("bridge", ["random-subspace", "walsh-subspace"])


def subspace_mlp(bridge: str, **options) -> ho.QuantumNetwork:
    return ho.to_quantum(RECIPES["mlp-double"]().network, bridge, **options)


def total_moves(quantum: ho.QuantumNetwork) -> torch.Tensor:
    """Return the moves of all weights from those of "mlp-double", shape ``(M,)``."""
    start, now = RECIPES["mlp-double"]().network, ho.to_classical(quantum)
    return (
        parameters_to_vector(now.parameters()) - parameters_to_vector(start.parameters())
    ).detach()


def matrix_of(quantum: ho.QuantumNetwork) -> torch.Tensor:
    """Return the matrix of the linear map, that of Walsh columns from scipy."""
    if quantum.bridge_name == "random-subspace":
        return quantum.source.projection
    columns = quantum.source.columns.numpy()
    return torch.from_numpy(hadamard(32)[:, columns] / np.sqrt(len(columns)))


@both_subspaces
def test_weights_move_by_the_linear_map(bridge):
    quantum = moved(subspace_mlp(bridge, num_parameters=5, scale=0.5))
    expected = 0.5 * matrix_of(quantum) @ quantum.angles.detach()
    torch.testing.assert_close(total_moves(quantum), expected, rtol=0, atol=1e-14)
    assert not hasattr(quantum, "executor")


@both_subspaces
def test_gradient_is_projected(bridge):
    case, quantum = RECIPES["mlp-double"](), subspace_mlp(bridge, num_parameters=5, scale=0.5)
    case.loss(quantum).backward()
    case.loss(case.network).backward()
    gradient = torch.cat([p.grad.flatten() for p in case.network.parameters()])
    expected = 0.5 * matrix_of(quantum).T @ gradient
    torch.testing.assert_close(quantum.angles.grad, expected, rtol=0, atol=1e-12)


@both_subspaces
def test_training_stays_in_the_subspace(bridge):
    case, quantum = RECIPES["mlp-double"](), subspace_mlp(bridge, num_parameters=5, scale=0.5)
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.1)
    moves = []
    for _ in range(12):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        optimizer.step()
        moves.append(total_moves(quantum))
    moves, matrix = torch.stack(moves), matrix_of(quantum)
    assert torch.linalg.matrix_rank(moves, atol=1e-12) == 5
    solution = torch.linalg.lstsq(matrix, moves.T).solution
    torch.testing.assert_close(matrix @ solution, moves.T, rtol=0, atol=1e-12)


@both_subspaces
@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (5, 4)])
def test_one_number_per_weight_reaches_everything(bridge, shape):
    quantum = ho.to_quantum(nn.Linear(*shape).double(), bridge, scale=1.0)
    size = quantum.num_weights
    assert len(quantum.angles) == quantum.num_trainable == size
    eye = torch.eye(size, dtype=torch.float64)
    columns = torch.stack([quantum.source.exact_values(row) for row in eye])
    assert torch.linalg.matrix_rank(columns) == size


def test_random_columns_have_length_one():
    lengths = subspace_mlp("random-subspace", num_parameters=7).source.projection.norm(dim=0)
    torch.testing.assert_close(lengths, torch.ones(7).double(), rtol=0, atol=1e-14)


def test_random_columns_depend_on_the_seed_only():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = subspace_mlp("random-subspace", seed=3).source.projection
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(subspace_mlp("random-subspace", seed=3).source.projection, first)
    assert not torch.equal(subspace_mlp("random-subspace", seed=4).source.projection, first)


def test_columns_and_scales_are_those_of_the_sparse_memory():
    walsh = subspace_mlp("walsh-subspace", num_parameters=9)
    memory = subspace_mlp("memory", num_angles=9)
    assert torch.equal(walsh.source.columns, memory.source.columns)
    assert torch.equal(walsh.scales, memory.scales)


def test_sparse_memory_has_the_opposite_first_order():
    """sin(x) = x - x^3/6 + ..., and |x| <= 1e-3 * sqrt(9)."""
    walsh = moved(subspace_mlp("walsh-subspace", num_parameters=9))
    memory = moved(subspace_mlp("twin", num_angles=9))
    for quantum in (walsh, memory):
        quantum.angles.data *= 1e-3 / quantum.angles.detach().abs().max()
    largest = walsh.scales.max().item()
    torch.testing.assert_close(
        total_moves(walsh), -total_moves(memory), rtol=0, atol=largest * (3e-3) ** 3 / 6
    )


def test_options_are_the_documented_ones():
    assert WalshSubspace() == WalshSubspace(num_parameters=None, scale="auto")
    assert RandomSubspace() == RandomSubspace(num_parameters=None, scale=1.0, seed=0)
