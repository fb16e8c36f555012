"""Mapping compared with its formula, weight by weight."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hybridopt.bridges.generator.network import LEAST_DEVIATION, WeightMapping

START = torch.tensor([0.3, 0.05, 0.1, 0.25, 0.02, 0.08, 0.15, 0.05], dtype=torch.float64)


def make(width: int, zero: bool = False, start: Tensor = START, seed: int = 2) -> WeightMapping:
    generator = torch.Generator().manual_seed(seed)
    return WeightMapping(6, start, width=width, zero=zero, generator=generator)


def inputs(k: int, probabilities: Tensor, deviation: float) -> list[float]:
    """Return the three bits of k and the standardised probability."""
    bits = [1.0 if k >> j & 1 else -1.0 for j in range(3)]
    return [*bits, (8 * float(probabilities[k]) - 1) / deviation]


@pytest.mark.parametrize("width", [0, 5])
def test_outputs_are_the_formula_weight_by_weight(width):
    mapping = make(width)
    deviation = math.sqrt(sum((8 * p - 1) ** 2 for p in START.tolist()) / 8)
    now = START.flip(0)
    outputs = mapping(now)
    assert outputs.shape == (6,)
    for k in range(6):
        features = inputs(k, now, deviation)
        if width:
            hidden = mapping.hidden
            features = [
                math.tanh(sum(w * x for w, x in zip(row, features, strict=True)) + bias)
                for row, bias in zip(hidden.weight.tolist(), hidden.bias.tolist(), strict=True)
            ]
        (row,), (bias,) = mapping.last.weight.tolist(), mapping.last.bias.tolist()
        expected = sum(w * x for w, x in zip(row, features, strict=True)) + bias
        assert outputs[k].item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("width", [0, 5])
def test_last_layer_of_zeros_gives_negative_zeros(width):
    outputs = make(width, zero=True)(torch.full((8,), 1 / 8, dtype=torch.float64))
    assert torch.equal(outputs, torch.zeros(6, dtype=torch.float64))
    assert torch.signbit(outputs).all()


def test_start_depends_on_the_given_generator_only():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = make(5), make(5), make(5, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.hidden.weight, again.hidden.weight)
    assert not torch.equal(first.hidden.weight, other.hidden.weight)
    assert first.hidden.weight.abs().max() <= 4**-0.5
    assert first.last.weight.abs().max() <= 5**-0.5


def test_equal_initial_probabilities_are_not_amplified():
    mapping = make(0, start=torch.full((8,), 1 / 8, dtype=torch.float64))
    assert mapping.deviation.item() == LEAST_DEVIATION
