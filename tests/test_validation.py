"""Argument checks: accepted values and the error of each check."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError, UnknownNameError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_become_int(value):
    result = _validation.integer("n", value, minimum=3, maximum=3)
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_numbers_become_float(value):
    result = _validation.real("lr", value, minimum=0.5, below=1)
    assert result == 0.5
    assert type(result) is float


@pytest.mark.parametrize("value", [True, np.True_, "3", None, np.array([3]), 3.0, 1j])
def test_other_types_are_not_numbers(value):
    with pytest.raises(ArgumentTypeError, match="`n` must be"):
        _validation.integer("n", value)
    if value != 3.0:
        with pytest.raises(ArgumentTypeError, match="`lr` must be"):
            _validation.real("lr", value)


@pytest.mark.parametrize("value", [math.nan, -math.inf, np.float32("nan"), 10**400])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ArgumentError, match="`lr` must be finite"):
        _validation.real("lr", value)


@pytest.mark.parametrize(
    ("check", "value", "options"),
    [
        (_validation.integer, -4, {"minimum": 1}),
        (_validation.integer, 4, {"maximum": 3}),
        (_validation.real, -0.5, {"minimum": 0}),
        (_validation.real, 0.0, {"minimum": 0, "strict": True}),
        (_validation.real, 1, {"below": 1}),
        (_validation.optional_integer, 0, {"minimum": 1}),
        (_validation.optional_real, 0, {"minimum": 0, "strict": True}),
    ],
)
def test_bounds_are_named_with_the_value(check, value, options):
    with pytest.raises(ArgumentError, match=rf"`n` .*{next(iter(options.values()))}.*{value:g}"):
        check("n", value, **options)


def test_none_passes_optional_checks():
    assert _validation.optional_integer("n", None, minimum=1) is None
    assert _validation.optional_integer("n", 2, minimum=1) == 2
    assert _validation.optional_real("lr", None) is None
    assert _validation.optional_real("lr", 2, minimum=1) == 2.0


def test_instances_pass_and_other_types_and_classes_are_refused():
    network = nn.Linear(2, 3)
    assert _validation.instance("network", network, nn.Module, "a torch.nn.Module") is network
    with pytest.raises(ArgumentTypeError, match=r"`network` .*torch\.nn\.Module.*int"):
        _validation.instance("network", 3, nn.Module, "a torch.nn.Module")
    with pytest.raises(ArgumentTypeError, match=r"`network` .*Linear\(\.\.\.\)"):
        _validation.instance("network", nn.Linear, nn.Module, "a torch.nn.Module")


def test_items_of_sequences_pass():
    assert _validation.items("qubits", [2, 0]) == (2, 0)
    assert _validation.items("qubits", np.arange(2)) == (0, 1)
    for value in ("02", {0, 2}, 3, None):
        with pytest.raises(ArgumentTypeError, match="`qubits`"):
            _validation.items("qubits", value)


def test_paths_pass_with_their_suffix():
    assert _validation.path("path", "a/b.qasm", ".qasm") == Path("a/b.qasm")
    assert _validation.path("path", Path("~")) == Path.home()
    with pytest.raises(ArgumentTypeError, match="`path`"):
        _validation.path("path", 3)
    with pytest.raises(ArgumentError, match=r"`path` .*\.qasm.*'b\.txt'"):
        _validation.path("path", "b.txt", ".qasm")


def test_only_booleans_pass():
    assert _validation.boolean("progress", True) is True
    assert _validation.boolean("progress", False) is False
    for value in (1, 0, "yes", None):
        with pytest.raises(ArgumentTypeError, match="`progress`"):
            _validation.boolean("progress", value)


@pytest.mark.parametrize(
    ("value", "nearest"), [("AUT", "Did you mean 'auto'?"), ("xyzzy", "'xyzzy'.")]
)
def test_unknown_name_is_refused_with_the_nearest_and_all_names(value, nearest):
    known = ["CPU", "GPU", "auto"]
    assert _validation.choice("device", "auto", known) == "auto"
    with pytest.raises(UnknownNameError) as caught:
        _validation.choice("device", value, known)
    assert f"device {value!r}" in str(caught.value)
    assert nearest in str(caught.value)
    assert str(caught.value).endswith("CPU, GPU, auto.")


@pytest.mark.parametrize("value", [None, 3, ["CPU"]])
def test_name_that_is_not_a_string_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"device.*CPU\."):
        _validation.choice("device", value, ["CPU"])


def test_unknown_keyword_is_refused_with_the_nearest():
    _validation.keywords("Newton", {"lr": 1}, ["lr", "damping"])
    with pytest.raises(UnknownNameError, match=r"Newton .*'dampnig'.*'damping'.* lr, damping\."):
        _validation.keywords("Newton", {"lr": 1, "dampnig": 2}, ["lr", "damping"])
    with pytest.raises(UnknownNameError, match=r"Newton .*'a'"):
        _validation.keywords("Newton", {"a": 1}, [])


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(ArgumentError, ValueError), (ArgumentTypeError, TypeError), (UnknownNameError, ValueError)],
)
def test_errors_are_ours_and_built_in(error, builtin):
    assert issubclass(error, HybridOptError)
    assert issubclass(error, builtin)
