"""Run-time checks of annotations in the session with ``--shapes``."""

from __future__ import annotations

import random
from importlib import import_module

import jaxtyping
import numpy as np
import pytest
import torch

from hybridopt.bridges.memory.autograd import read_cosines
from hybridopt.bridges.memory.circuit import split_probabilities
from hybridopt.circuits.multiplexer import walsh_hadamard


@pytest.fixture(autouse=True)
def only_with_shapes(shapes_are_checked):
    if not shapes_are_checked:
        pytest.skip("this session runs the package without checks of annotations")


def test_wrong_shapes_and_dtypes_are_found(monkeypatch):
    with pytest.raises(jaxtyping.TypeCheckError, match="split_probabilities"):
        split_probabilities(np.zeros((2, 2)))
    with pytest.raises(jaxtyping.TypeCheckError, match="walsh_hadamard"):
        walsh_hadamard(np.zeros(2, dtype=np.float32))
    with pytest.raises(jaxtyping.TypeCheckError, match="read_cosines"):
        read_cosines(torch.zeros(3, dtype=torch.float32), None)
    memory = import_module("hybridopt.bridges.memory.readout")
    monkeypatch.setattr(memory.np, "sin", lambda delta: np.zeros(7))
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        memory.ClosedFormSampler().read(np.zeros(3), 0)


def test_checks_leave_the_global_generator_unchanged():
    state = random.getstate()
    walsh_hadamard(np.zeros(8))
    assert random.getstate() == state
