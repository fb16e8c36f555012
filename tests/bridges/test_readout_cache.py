"""A reading holds while executor and angles are those that it was made with."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from hybridopt.bridges.readout_cache import ReadoutCache, is_own

ANGLES = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
VALUES = torch.tensor([1.0, 2.0])


def filled(executor: ho.AerExecutor) -> ReadoutCache:
    last = ReadoutCache()
    last.keep(executor, ANGLES, VALUES)
    return last


def test_a_reading_is_recalled_by_its_executor_at_its_angles():
    executor = ho.AerExecutor()
    last = filled(executor)
    assert last.recall(executor, ANGLES.clone()) is VALUES
    assert last.recall(ho.AerExecutor(), ANGLES) is None
    assert last.recall(executor, ANGLES + 1e-12) is None
    assert last.recall(executor, ANGLES.to("meta")) is None
    last.forget()
    assert last.recall(executor, ANGLES) is None


def test_angles_that_change_in_place_are_read_again():
    executor, angles, last = ho.AerExecutor(), nn.Parameter(ANGLES.clone()), ReadoutCache()
    readings = [last.recall_or(executor, angles, lambda: 2 * angles) for _ in range(2)]
    assert readings[0] is readings[1]
    assert not readings[0].requires_grad
    with torch.no_grad():
        angles.add_(0.1)
    assert torch.equal(last.recall_or(executor, angles, lambda: 2 * angles), 2 * angles)
    assert last.recall(executor, angles) is not None


def test_copies_and_pickles_are_empty():
    executor = ho.AerExecutor()
    last = filled(executor)
    for other in (copy.deepcopy(last), pickle.loads(pickle.dumps(last))):
        assert other.recall(executor, ANGLES) is None
    assert last.recall(executor, ANGLES) is VALUES


class Asked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.angles = nn.Parameter(ANGLES.clone())

    def forward(self) -> bool:
        return is_own(self.angles)


def test_tensors_given_from_outside_are_not_a_modules_own():
    module = Asked()
    assert module()
    assert not functional_call(module, {"angles": ANGLES}, ())
    assert not module.to("meta")()
