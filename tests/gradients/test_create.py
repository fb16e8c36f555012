"""Gradient rules by name."""

from __future__ import annotations

import pytest

from hybridopt.errors import ArgumentTypeError, UnknownNameError
from hybridopt.gradients import GRADIENTS, ParameterShift, create


@pytest.mark.parametrize("name", list(GRADIENTS))
def test_every_name_gives_its_rule(name):
    assert create(name).name == name


def test_an_instance_is_taken_as_it_is():
    rule = ParameterShift()
    assert create(rule) is rule


def test_unknown_name_brings_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'parametershift'. Did you mean 'parameter-shift'"):
        create("parametershift")


def test_other_types_are_refused():
    with pytest.raises(
        ArgumentTypeError, match="must be one of parameter-shift, adjoint, spsa, or an instance"
    ):
        create(3)


def test_a_class_in_place_of_an_instance_is_refused():
    with pytest.raises(ArgumentTypeError, match="must be one of"):
        create(ParameterShift)
