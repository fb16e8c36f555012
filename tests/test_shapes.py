"""Annotations are checked at run time in the session with ``--shapes``."""

from __future__ import annotations

import random
from importlib import import_module

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from hybridopt.bridges.memory.autograd import read_cosines
from hybridopt.bridges.memory.walsh import walsh_hadamard
from hybridopt.bridges.parameter_layout import ParameterLayout


@pytest.fixture(autouse=True)
def only_with_shapes(shapes_are_checked):
    if not shapes_are_checked:
        pytest.skip("this session runs the package as users get it")


def test_wrong_shape_is_found_at_run_time():
    with pytest.raises(jaxtyping.TypeCheckError, match="walsh_hadamard"):
        walsh_hadamard(np.zeros((2, 2)))


def test_wrong_dtype_is_found_at_run_time():
    with pytest.raises(jaxtyping.TypeCheckError, match="read_cosines"):
        read_cosines(torch.zeros(3, dtype=torch.float32), None)


def test_wrong_size_of_a_result_is_found_at_run_time(monkeypatch):
    memory = import_module("hybridopt.bridges.memory.readout")
    monkeypatch.setattr(memory.np, "sin", lambda delta: np.zeros(7))
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        memory.ClosedFormSampler().read(np.zeros(3), 0)


def test_looking_at_types_leaves_the_callers_generator_alone():
    layout = ParameterLayout(nn.Linear(3, 2))
    state = random.getstate()
    layout.join(layout.tensors(nn.Linear(3, 2)))
    assert random.getstate() == state
