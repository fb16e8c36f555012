"""The weights stay in one subspace of the dimension that was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import RandomSubspace
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError, UnknownNameError

from .networks import RECIPES, bits
from .subspaces import moves_of_training, travelled


def subspace_mlp(**options) -> ho.QuantumNetwork:
    return ho.to_quantum(RECIPES["mlp-double"]().network, "random-subspace", **options)


def test_weights_move_by_the_projection_of_the_numbers():
    quantum = subspace_mlp(num_parameters=5, scale=0.5)
    quantum.angles.data = torch.tensor([0.3, -1.1, 2.0, 0.7, 0.0]).double()
    expected = 0.5 * quantum.source.projection @ quantum.angles.detach()
    torch.testing.assert_close(travelled(quantum), expected, rtol=0, atol=1e-14)


def test_all_that_training_reaches_is_a_subspace():
    case, quantum = RECIPES["mlp-double"](), subspace_mlp(num_parameters=5)
    moves = moves_of_training(case, quantum)
    assert torch.linalg.matrix_rank(moves, atol=1e-12) == 5
    solution = torch.linalg.lstsq(quantum.source.projection, moves.T).solution
    torch.testing.assert_close(quantum.source.projection @ solution, moves.T, rtol=0, atol=1e-12)


def test_gradient_is_the_projected_one():
    case, quantum = RECIPES["mlp-double"](), subspace_mlp(num_parameters=5, scale=0.5)
    case.loss(quantum).backward()
    case.loss(case.network).backward()
    gradient = torch.cat([p.grad.flatten() for p in case.network.parameters()])
    expected = 0.5 * quantum.source.projection.T @ gradient
    torch.testing.assert_close(quantum.angles.grad, expected, rtol=0, atol=1e-12)


def test_directions_have_length_one():
    lengths = subspace_mlp(num_parameters=7).source.projection.norm(dim=0)
    torch.testing.assert_close(lengths, torch.ones(7).double(), rtol=0, atol=1e-14)


def test_as_many_numbers_as_weights_reach_everything():
    quantum = subspace_mlp()
    assert len(quantum.angles) == quantum.num_weights == quantum.num_trainable == 32
    assert torch.linalg.matrix_rank(quantum.source.projection) == 32


def test_directions_follow_from_the_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = subspace_mlp(seed=3).source.projection
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(subspace_mlp(seed=3).source.projection, first)
    assert not torch.equal(subspace_mlp(seed=4).source.projection, first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_start_changes_no_bit(dtype):
    network = nn.Linear(4, 3).to(dtype)
    network.weight.data[0, :2] = torch.tensor([-0.0, 0.0])
    classical = ho.to_classical(ho.to_quantum(network, "random-subspace"))
    assert bits(classical.weight) == bits(network.weight)
    assert bits(classical.bias) == bits(network.bias)


REFUSED = [
    ({"num_parameters": 0}, ArgumentError, "`num_parameters` must be 1 or more, but is 0"),
    ({"num_parameters": 2.0}, ArgumentTypeError, "`num_parameters` must be an int, but is 2.0"),
    ({"num_parameters": 33}, ArgumentError, "num_parameters is 33, but the network has 32 weights"),
    ({"scale": 0}, ArgumentError, "Argument `scale` must be more than 0, but is 0"),
    ({"scale": "auto"}, ArgumentTypeError, "Argument `scale` must be a number, but is 'auto'"),
    ({"seed": -1}, ArgumentError, "Argument `seed` must be 0 or more, but is -1"),
    ({"seed": None}, ArgumentTypeError, "Argument `seed` must be an int, but is None"),
    ({"num_parameter": 3}, UnknownNameError, "Did you mean 'num_parameters'"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=lambda a: str(a)[:30])
def test_unusable_options_are_refused(options, error, message):
    with pytest.raises(error) as caught:
        subspace_mlp(**options)
    assert message in str(caught.value)


def test_projection_that_fits_no_memory_is_refused_before_it_is_drawn():
    network = nn.Linear(300, 100)
    with pytest.raises(ResourceError, match=r"of 30100 weights on 30100 .* needs 7\.25 GB\. Lower"):
        ho.to_quantum(network, RandomSubspace())
