"""Scales and folding of the memory bridge."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Memory
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError, UnknownNameError
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


def test_scale_is_how_far_a_weight_can_move():
    quantum = ho.to_quantum(network(), scale={"weight": 0.5, "bias": 2.0})
    quantum.angles.data.fill_(-math.pi / 2)
    classical = ho.to_classical(quantum)
    shift = classical.weight - network().weight
    torch.testing.assert_close(shift, torch.full((2, 2), 0.5).double(), rtol=0, atol=1e-15)
    torch.testing.assert_close(
        classical.bias.data, torch.full((2,), 2.0).double(), rtol=0, atol=1e-15
    )


REFUSED = [
    (0, ArgumentError, "Argument `scale` must be more than 0, but is 0"),
    (-1.0, ArgumentError, "Argument `scale` must be more than 0, but is -1"),
    (math.nan, ArgumentError, "Argument `scale` must be finite, but is nan"),
    (True, ArgumentTypeError, "Argument `scale` must be a number, but is True"),
    (None, ArgumentTypeError, "Argument `scale` must be a number, but is None"),
    ("atuo", UnknownNameError, "Unknown scale 'atuo'. Did you mean 'auto'?"),
    ({"bias": 0.0}, ArgumentError, "Argument `scale['bias']` must be more than 0"),
    ({"weigth": 1.0}, UnknownNameError, "'weigth'. Did you mean 'weight'? Known: weight, bias"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("scale", "error", "message"), REFUSED, ids=lambda a: str(a)[:20])
@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_unusable_scales_are_refused(scale, error, message, bridge, aer_calls):
    with pytest.raises(error) as caught:
        ho.to_quantum(network(), bridge, scale=scale)
    assert message in str(caught.value)
    assert aer_calls == []


@pytest.mark.parametrize("scale", [3.5, {"weight": 3.5}])
def test_full_form_refuses_a_scale_below_a_weight(scale):
    with pytest.raises(
        ConversionError, match=r"`weight` is 3\.5, smaller than its largest weight 4"
    ):
        ho.to_quantum(network(), form="full", scale=scale)


@pytest.mark.parametrize("bridge", ["memory", "twin"])
@pytest.mark.parametrize("recipe", NETWORKS)
def test_folding_moves_the_weights_into_the_origin(recipe, bridge):
    quantum = moved(ho.to_quantum(recipe().network, bridge))
    before = ho.to_classical(quantum)
    quantum.merge()
    assert not quantum.angles.any()
    after = ho.to_classical(quantum).state_dict()
    assert {n: bits(t) for n, t in after.items()} == {
        n: bits(t) for n, t in before.state_dict().items()
    }


def test_folding_keeps_outputs_and_goes_on_from_there():
    case = RECIPES["mlp"]()
    quantum = moved(ho.to_quantum(case.network, scale=0.3))
    for _ in range(5):
        expected = case.outputs(quantum)
        quantum.merge()
        torch.testing.assert_close(case.outputs(quantum), expected, rtol=0, atol=case.precision)
        quantum.angles.data.fill_(-math.pi / 2)
    moves = ho.to_classical(quantum)[0].weight - case.network[0].weight
    assert moves.min() > 4 * 0.3  # farther than one scale


def test_angles_stay_the_same_parameter_when_folded():
    quantum = moved(ho.to_quantum(network()))
    angles = quantum.angles
    quantum.merge()
    assert quantum.angles is angles
    assert angles.requires_grad


@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_full_form_has_nothing_to_fold_into(bridge, aer_calls):
    with pytest.raises(ConversionError, match=r"no w0 to merge into\. Use form=\"residual\""):
        ho.to_quantum(network(), bridge, form="full").merge()
    with pytest.raises(ConversionError, match=r'merge="epoch" needs form="residual"'):
        ho.to_quantum(network(), bridge, form="full", merge="epoch")
    assert aer_calls == []


@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_folding_by_epoch_is_written_on_the_network(bridge):
    assert ho.to_quantum(network(), bridge, merge="epoch").merge_every_epoch
    assert not ho.to_quantum(network(), bridge).merge_every_epoch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "residul"}, "Unknown form 'residul'. Did you mean 'residual'"),
        ({"synthesis": "gate"}, "Unknown synthesis 'gate'. Did you mean 'gates'"),
        ({"merge": "epochs"}, "Unknown merge 'epochs'. Did you mean 'epoch'"),
    ],
)
def test_unknown_names_of_options_bring_the_nearest(options, message):
    with pytest.raises(UnknownNameError) as caught:
        Memory(**options)
    assert message in str(caught.value)


def test_unknown_synthesis_of_the_circuit_brings_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown synthesis 'gats'\. Did you mean 'gates'"):
        ho.to_quantum(network()).circuit(synthesis="gats")


@pytest.mark.parametrize("batch_size", [0, -1])
def test_step_cost_wants_a_batch(batch_size):
    with pytest.raises(ArgumentError, match="Argument `batch_size` must be 1 or more"):
        ho.to_quantum(network()).step_cost(batch_size)
