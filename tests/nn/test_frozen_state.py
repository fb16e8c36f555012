"""Marks are told from a module's own attributes, and come back from JSON as they were."""

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


def target() -> nn.Sequential:
    """All but the head is frozen, the normalisation but for its bias."""
    network = ho.transfer(layers(), num_outputs=3)
    unfreeze(network, ["1.bias"])
    return network


def test_marks_come_back_from_json_and_replace_others():
    network = target()
    stored = json.loads(json.dumps(marks_of(network)))
    assert stored["1"] == {
        "head": None,
        "parameters": ["weight"],
        "whole": False,
        "eval_locked": False,
    }
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


def test_a_module_whose_statistics_are_kept_is_locked_in_its_copies_too():
    network = ho.transfer(layers())
    other = layers()
    put_marks(other, marks_of(network))
    for module in (other, copy.deepcopy(other)):
        module.train()
        assert [eval_locked(child) for child in module] == [False, True, False, False]
        assert [child.training for child in module] == [True, False, True, True]
        unlock_eval(module[1], mode=True)
        assert module.train()[1].training


def test_what_has_no_buffers_has_nothing_to_keep():
    layer = nn.Dropout()
    lock_eval(layer)
    unlock_eval(layer, mode=False)
    assert layer.training
    assert not eval_locked(layer)


def test_what_is_a_mark():
    network = ho.transfer(layers())
    assert {name for name, value in vars(network[1]).items() if is_mark(name, value)} == {
        "_frozen", "train",
    }  # fmt: skip
    assert not is_mark("train", lambda mode=True: None)  # of the owner's own
    assert not is_mark("weight", torch.ones(1))
