"""What passes the door, and what each refusal says."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from importlib import import_module

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from hybridopt import _validation
from hybridopt.bridges.memory.autograd import read_cosines
from hybridopt.bridges.memory.walsh import walsh_hadamard
from hybridopt.bridges.parameter_layout import ParameterLayout
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError, UnknownNameError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_become_int(value):
    result = _validation.integer("n", value, minimum=3)
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, np.array([3])])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"Argument `n` must be an int, but is .* of type"):
        _validation.integer("n", value)


def test_integer_below_its_minimum_is_refused():
    with pytest.raises(ArgumentError, match=r"Argument `n` must be 1 or more, but is -4\."):
        _validation.integer("n", -4, minimum=1)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_numbers_become_float(value):
    result = _validation.real("lr", value)
    assert result == 0.5
    assert type(result) is float


@pytest.mark.parametrize("value", [True, "0.5", None, 1j, np.array([0.5])])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"Argument `lr` must be a number, but is .*"):
        _validation.real("lr", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ArgumentError, match="Argument `lr` must be finite, but is"):
        _validation.real("lr", value)


def test_integer_beyond_every_float_is_refused():
    with pytest.raises(ArgumentError, match="Argument `lr` must be finite"):
        _validation.real("lr", 10**400)


def test_bounds_of_a_number():
    assert _validation.real("lr", 0, minimum=0) == 0
    with pytest.raises(ArgumentError, match=r"`lr` must be 0 or more, but is -0\.5\."):
        _validation.real("lr", -0.5, minimum=0)
    with pytest.raises(ArgumentError, match=r"`lr` must be more than 0, but is 0\."):
        _validation.real("lr", 0.0, minimum=0, strict=True)


def test_none_passes_where_it_may():
    assert _validation.optional_integer("n", None, minimum=1) is None
    assert _validation.optional_integer("n", 2, minimum=1) == 2
    assert _validation.optional_real("lr", None) is None
    assert _validation.optional_real("lr", 2, minimum=1) == 2.0
    with pytest.raises(ArgumentError, match="Argument `n` must be 1 or more"):
        _validation.optional_integer("n", 0, minimum=1)
    with pytest.raises(ArgumentError, match="Argument `lr` must be more than 0"):
        _validation.optional_real("lr", 0, minimum=0, strict=True)


@pytest.mark.parametrize("value", [True, False])
def test_booleans_pass(value):
    assert _validation.boolean("progress", value) is value


@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_what_is_no_boolean_is_refused(value):
    with pytest.raises(ArgumentTypeError, match="`progress` must be True or False, but is"):
        _validation.boolean("progress", value)


def test_known_name_passes():
    assert _validation.choice("bridge", "twin", ["memory", "twin"]) == "twin"


def test_unknown_name_brings_the_nearest_in_its_own_spelling():
    with pytest.raises(UnknownNameError) as caught:
        _validation.choice("device", "AUT", ["CPU", "GPU", "auto"])
    assert str(caught.value) == (
        "Unknown device 'AUT'. Did you mean 'auto'? Known: CPU, GPU, auto."
    )


def test_far_name_brings_all_of_them():
    with pytest.raises(UnknownNameError) as caught:
        _validation.choice("device", "xyzzy", ["CPU", "GPU"])
    assert str(caught.value) == "Unknown device 'xyzzy'. Known: CPU, GPU."


@pytest.mark.parametrize("value", [None, 3, ["CPU"]])
def test_name_that_is_no_string_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"device must be given by name, .* Known: CPU\."):
        _validation.choice("device", value, ["CPU"])


def test_unknown_keyword_brings_the_nearest():
    _validation.keywords("Newton", {"lr": 1}, ["lr", "damping"])
    with pytest.raises(UnknownNameError) as caught:
        _validation.keywords("Newton", {"lr": 1, "dampnig": 2}, ["lr", "damping"])
    assert str(caught.value) == (
        "Newton takes no keyword argument 'dampnig'. Did you mean 'damping'? Known: lr, damping."
    )
    with pytest.raises(UnknownNameError, match=r"keyword argument 'a'\. It takes none\."):
        _validation.keywords("Newton", {"a": 1}, [])


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(ArgumentError, ValueError), (ArgumentTypeError, TypeError), (UnknownNameError, ValueError)],
)
def test_refusals_are_ours_and_the_callers(error, builtin):
    assert issubclass(error, HybridOptError)
    assert issubclass(error, builtin)


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


def test_every_module_is_checked_or_a_public_door(checked_modules):
    assert "hybridopt.bridges.memory.circuit" in checked_modules
    assert "hybridopt.bridges.weight_network" in checked_modules
    assert "hybridopt.bridges.memory.network" not in checked_modules
