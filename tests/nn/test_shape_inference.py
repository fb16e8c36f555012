"""Trials of shapes, against real forward passes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hybridopt.nn.shape_inference import on_meta


def twice() -> nn.Module:
    """One layer at two places, and two layers with one weight."""
    layer, first, second = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(layer, nn.BatchNorm1d(3), layer, first, second)


def test_shape_and_dtype_are_those_of_a_real_pass():
    network, x = twice().double(), torch.randn(4, 3, dtype=torch.float64)
    tried, real = on_meta(network, x), network(x)
    assert tried.is_meta
    assert (tried.shape, tried.dtype) == (real.shape, real.dtype)
    assert tried.requires_grad
    with torch.no_grad():
        assert not on_meta(network, x).requires_grad


def test_nothing_of_the_network_changes():
    network = twice()
    before = copy.deepcopy(network.state_dict())
    on_meta(network, torch.randn(4, 3))
    assert network[0] is network[2]
    assert network[3].weight is network[4].weight
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_shapes_that_do_not_fit_are_torchs_to_complain_of():
    with pytest.raises(RuntimeError):
        on_meta(twice(), torch.randn(4, 5))
