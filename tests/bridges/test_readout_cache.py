"""Validity of a cached readout."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from hybridopt.bridges.readout_cache import ReadoutCache, is_own

ANGLES = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
VALUES = {"values": torch.tensor([1.0, 2.0])}


def test_readout_is_valid_for_its_executor_and_angles():
    executor, cache, angles = ho.AerExecutor(), ReadoutCache(), ANGLES.clone()
    cache.keep(executor, angles, VALUES)
    assert cache.recall(executor, ANGLES.clone()) is VALUES
    assert cache.recall(ho.AerExecutor(), ANGLES) is None
    assert cache.recall(executor, ANGLES.to("meta")) is None
    angles.add_(1e-12)
    assert cache.recall(executor, angles) is None
    assert cache.recall(executor, ANGLES) is VALUES
    copied = copy.deepcopy(cache)  # copies share an executor
    assert torch.equal(copied.recall(executor, ANGLES)["values"], VALUES["values"])
    other, by = pickle.loads(pickle.dumps((cache, executor)))
    assert torch.equal(other.recall(by, ANGLES)["values"], VALUES["values"])
    assert other.recall(executor, ANGLES) is None


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.angles = nn.Parameter(ANGLES.clone())

    def forward(self) -> bool:
        return is_own(self.angles)


def test_given_tensors_are_not_a_modules_own():
    module = Module()
    assert module()
    assert not functional_call(module, {"angles": ANGLES}, ())
    assert not module.to("meta")()
