"""Scales of the memory bridge, and merging of moves into the weights."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import ConversionError, UnknownNameError
from tests.bridges.memories import moved
from tests.bridges.networks import NETWORKS, RECIPES, bits


def network() -> nn.Module:
    linear = nn.Linear(2, 2).double()
    linear.weight.data = torch.tensor([[3.0, -4.0], [0.0, 0.0]]).double()
    linear.bias.data.zero_()
    return linear


@pytest.mark.parametrize(
    ("form", "expected"), [("residual", [2.5, 0.1]), ("full", [1.5 * 4.0, 0.1])]
)
def test_automatic_scales(form, expected):
    assert ho.to_quantum(network(), form=form).scales.tolist() == expected


@pytest.mark.wrong_types
@pytest.mark.parametrize("scale", [4, 4.5, np.float32(4.5), np.int64(5), Fraction(9, 2)])
@pytest.mark.parametrize("form", ["residual", "full"])
def test_one_scale_for_all(scale, form):
    assert ho.to_quantum(network(), scale=scale, form=form).scales.tolist() == [float(scale)] * 2


def test_scales_by_name():
    assert ho.to_quantum(network(), scale={"bias": 0.7}).scales.tolist() == [2.5, 0.7]
    tied = ho.to_quantum(RECIPES["tied"]().network, scale={"head.weight": 0.7})
    assert tied.scales[0] == 0.7


def test_scale_is_the_largest_move_of_a_weight():
    quantum = ho.to_quantum(network(), scale={"weight": 0.5, "bias": 2.0})
    quantum.angles.data.fill_(-math.pi / 2)
    classical = ho.to_classical(quantum)
    shift = classical.weight - network().weight
    torch.testing.assert_close(shift, torch.full((2, 2), 0.5).double(), rtol=0, atol=1e-15)
    torch.testing.assert_close(
        classical.bias.data, torch.full((2,), 2.0).double(), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("bridge", ["memory", "twin"])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_merge_adds_the_moves_to_the_origin(recipe, bridge):
    quantum = moved(ho.to_quantum(recipe().network, bridge))
    before = ho.to_classical(quantum)
    quantum.merge()
    assert not quantum.angles.any()
    after = ho.to_classical(quantum).state_dict()
    assert {n: bits(t) for n, t in after.items()} == {
        n: bits(t) for n, t in before.state_dict().items()
    }


def test_merge_removes_the_bound_of_the_moves():
    case = RECIPES["mlp"]()
    quantum = moved(ho.to_quantum(case.network, scale=0.3))
    for _ in range(5):
        expected = case.outputs(quantum)
        quantum.merge()
        torch.testing.assert_close(case.outputs(quantum), expected, rtol=0, atol=case.precision)
        quantum.angles.data.fill_(-math.pi / 2)
    moves = ho.to_classical(quantum)[0].weight - case.network[0].weight
    assert moves.min() > 4 * 0.3  # farther than one scale


def test_merge_keeps_the_parameter():
    quantum = moved(ho.to_quantum(network()))
    angles = quantum.angles
    quantum.merge()
    assert quantum.angles is angles
    assert angles.requires_grad


@pytest.mark.parametrize(
    ("bridge", "options", "message"),
    [
        ("memory", {"form": "full"}, 'form="residual"'),
        ("twin", {"form": "full"}, 'form="residual"'),
        ("generator", {}, 'generator.*bridge="memory"'),
        ("generator", {"residual": False}, "w0"),
    ],
)
def test_weights_without_moves_cannot_be_merged(bridge, options, message):
    with pytest.raises(ConversionError, match=message):
        ho.to_quantum(network(), bridge, **options).merge()


@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_merge_by_epoch_is_set_on_the_network(bridge):
    assert ho.to_quantum(network(), bridge, merge="epoch").merge_every_epoch
    assert not ho.to_quantum(network(), bridge).merge_every_epoch


def test_unknown_synthesis_of_the_circuit():
    with pytest.raises(UnknownNameError, match=r"synthesis 'gats'.*'gates'"):
        ho.to_quantum(network()).circuit(synthesis="gats")
