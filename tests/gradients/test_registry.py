"""Gradient rules by name."""

from __future__ import annotations

import pytest

from hybridopt.errors import ArgumentTypeError, UnknownNameError, UnsupportedError
from hybridopt.gradients import GRADIENTS, ParameterShift, create


@pytest.mark.parametrize("name", list(GRADIENTS))
def test_every_name_gives_its_rule(name):
    assert create(name).name == name


def test_an_instance_is_taken_as_it_is():
    rule = ParameterShift()
    assert create(rule) is rule


@pytest.mark.parametrize("name", ["adjoint", "spsa"])
def test_rules_to_come_are_refused_by_name(name):
    with pytest.raises(
        UnsupportedError, match=f'"{name}" is not .* Use gradient="parameter-shift"'
    ):
        create(name)


def test_unknown_name_brings_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'parametershift'. Did you mean 'parameter-shift'"):
        create("parametershift")


def test_other_types_are_refused():
    with pytest.raises(ArgumentTypeError, match="gradient must be given by name, but is 3 of type"):
        create(3)
