"""Marks of frozen modules: recognition, JSON round trip, locked evaluation mode."""

from __future__ import annotations

import copy
import json

import torch
from torch import nn

import hybridopt as ho
from hybridopt.nn.frozen_state import (
    Frozen,
    eval_locked,
    head_of,
    is_mark,
    lock_eval,
    mark_of,
    marks_of,
    put_marks,
    unlock_eval,
)
from hybridopt.transfer import unfreeze


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def test_marks_survive_json_and_replace_others():
    network = ho.transfer(layers(), num_outputs=3)
    unfreeze(network, ["1.bias"])
    stored = json.loads(json.dumps(marks_of(network)))
    expected = {"head": None, "parameters": ["weight"], "whole": False, "eval_locked": False}
    assert stored["1"] == expected
    assert stored[""]["head"] == "3"
    for other in (ho.transfer(layers(), num_outputs=3), layers()):
        put_marks(other, stored)
        assert marks_of(other) == stored
        assert head_of(other) is other[3]
        assert mark_of(other[0]) == Frozen(("weight", "bias"), whole=True)
        other.train()
        assert other[1].training
        put_marks(other, {})
        assert marks_of(other) == {}
        assert head_of(other) is None
        assert vars(other[1]).keys() == vars(layers()[1]).keys()


def test_lock_holds_in_copies_until_unlocked():
    other = layers()
    put_marks(other, marks_of(ho.transfer(layers())))
    for module in (other, copy.deepcopy(other)):
        module.train()
        assert [eval_locked(child) for child in module] == [False, True, False, False]
        assert [child.training for child in module] == [True, False, True, True]
        unlock_eval(module[1], mode=True)
        assert module.train()[1].training


def test_module_without_buffers_is_not_locked():
    layer = nn.Dropout()
    lock_eval(layer)
    unlock_eval(layer, mode=False)
    assert layer.training
    assert not eval_locked(layer)


def test_only_our_attributes_are_marks():
    module = ho.transfer(layers())[1]
    assert {n for n, value in vars(module).items() if is_mark(n, value)} == {"_frozen", "train"}
    assert not is_mark("train", lambda mode=True: None)  # a method set by the user
    assert not is_mark("weight", torch.ones(1))
