"""Gradient rules by name."""

from __future__ import annotations

import pytest

from hybridopt.errors import ArgumentTypeError, UnknownNameError
from hybridopt.gradients import GRADIENTS, ParameterShift, create


@pytest.mark.parametrize("name", list(GRADIENTS))
def test_every_name_gives_its_rule(name):
    assert create(name).name == name


def test_an_instance_is_returned_unchanged():
    rule = ParameterShift()
    assert create(rule) is rule


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ("parametershift", UnknownNameError, "'parameter-shift'"),
        (3, ArgumentTypeError, "`gradient` .*int"),
        (ParameterShift, ArgumentTypeError, "`gradient` .*ParameterShift"),
    ],
)
def test_other_names_and_types_raise(given, error, named):
    with pytest.raises(error, match=named):
        create(given)
