"""Tests of options and example inputs of networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.cli.networks import example_inputs, parsed_options
from hybridopt.errors import ArgumentError

from .conftest import mlp


def test_values_of_options():
    given = ["a=1", "b=0.5", "c=true", 'd=["0"]', "e=full", "f=x=y", "g=null"]
    assert parsed_options(given) == {
        "a": 1, "b": 0.5, "c": True, "d": ["0"], "e": "full", "f": "x=y", "g": None,
    }  # fmt: skip


def test_inputs_are_inferred_from_the_first_layer():
    assert example_inputs(mlp()).shape == (64, 4)
    assert torch.equal(example_inputs(mlp(), seed=3), example_inputs(mlp(), seed=3))
    words = example_inputs(nn.Sequential(nn.Embedding(7, 2)))
    assert words.dtype is torch.int64
    assert words.max() < 7
    assert example_inputs(mlp().double()).dtype is torch.float64
    assert example_inputs(ho.DressedCircuit(3, 2)).shape == (64, 3)
    assert example_inputs(nn.Identity(), shape="2x3").shape == (64, 2, 3)
    with pytest.raises(ArgumentError, match="`input`"):
        example_inputs(nn.Sequential(nn.Conv2d(1, 1, 2), nn.Flatten(), nn.Linear(4, 2)))
