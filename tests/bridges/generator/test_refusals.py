"""Generators that cannot be made or run are refused by name, before anything runs."""

from __future__ import annotations

import math

import pytest
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"depth": 0}, ArgumentError, "`depth` must be 1 or more, but is 0"),
        ({"num_angles": 0}, ArgumentError, "`num_angles` must be 1 or more, but is 0"),
        ({"num_angles": -3}, ArgumentError, "`num_angles` must be 1 or more, but is -3"),
        ({"depth": 2.0}, ArgumentTypeError, "`depth` must be an int"),
        ({"num_angles": True}, ArgumentTypeError, "`num_angles` must be an int"),
        ({"depth": 1, "num_angles": 3}, ArgumentError, "Both depth=1 and num_angles=3"),
        ({"mapping": "tan"}, UnknownNameError, "Did you mean 'tanh'"),
        ({"mapping": None}, ArgumentTypeError, "mapping must be given by name"),
        ({"width": 4}, ArgumentError, 'width=4 .* Use mapping="tanh"'),
        ({"mapping": "tanh", "width": 0}, ArgumentError, "`width` must be 1 or more"),
        ({"residual": 1}, ArgumentTypeError, "`residual` must be True or False"),
        ({"frozen": "yes"}, ArgumentTypeError, "`frozen` must be True or False"),
        ({"scale": 0}, ArgumentError, "`scale` must be more than 0"),
        ({"scale": {"weight": math.nan}}, ArgumentError, "must be finite"),
        ({"scale": {"wieght": 1.0}}, UnknownNameError, "Did you mean 'weight'"),
        ({"seed": -1}, ArgumentError, "`seed` must be 0 or more"),
        ({"seed": None}, ArgumentTypeError, "`seed` must be an int"),
        ({"layers": 3}, UnknownNameError, "takes no keyword argument 'layers'"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        ho.to_quantum(nn.Linear(3, 2), "generator", **options)
    assert aer_calls == []


def test_what_does_not_fit_is_refused_before_a_run(aer_calls):
    with pytest.raises(ResourceError, match="The circuit has 9 qubits"):
        ho.to_quantum(nn.Linear(100, 3), "generator", executor=ho.AerExecutor(max_memory=10_000))
    with pytest.raises(UnsupportedError, match="needs exact state vectors"):
        ho.to_quantum(
            nn.Linear(3, 2), "generator", executor=ho.AerExecutor(shots=9), gradient="adjoint"
        )
    with pytest.raises(ArgumentError, match="`batch_size` must be 1 or more"):
        ho.to_quantum(nn.Linear(3, 2), "generator").step_cost(0)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_angles": 10**12}, r"1,000,000,000,000 angles on 3 qubits.*Lower `depth`"),
        ({"depth": 10**5}, "300,000 angles on 3 qubits"),
        ({"mapping": "tanh", "width": 10**11}, r"width 100,000,000,000.*Lower `width`"),
    ],
    ids=["angles", "depth", "width"],
)
def test_generators_too_large_to_run_are_refused_at_once(options, message, aer_calls):
    with pytest.raises(ResourceError, match=message):
        ho.to_quantum(nn.Linear(2, 2), "generator", **options)
    assert not aer_calls
