from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, ParameterVector

from hybridopt.bench.expressions import NUMPY_FUNCTIONS, angle_function
from hybridopt.errors import CircuitError
from hybridopt.nn.parameter_map import TORCH_FUNCTIONS

X, W = ParameterVector("x", 2), ParameterVector("w", 3)
EXPRESSIONS = [
    W[1],
    2 * X[0] - W[2] / 3 + 0.4,
    X[1] * W[0] + W[1],
    (W[0] + X[0]).sin() * W[1].exp(),
    W[0] ** 2 - X[1].cos().abs(),
    W[2].arctan() + (W[0] * W[0] + 1).log(),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_numbers_are_those_of_qiskit(expression, library):
    generator = np.random.default_rng(3)
    x, w = generator.uniform(-1, 1, (4, 2)), generator.uniform(-1, 1, 3)
    functions = NUMPY_FUNCTIONS if library == "numpy" else TORCH_FUNCTIONS
    angle = angle_function(expression, list(X), list(W), functions)
    given = (x, w) if library == "numpy" else (torch.tensor(x), torch.tensor(w))
    found = np.broadcast_to(np.asarray(angle(*given)), 4)
    for sample, value in zip(x, found, strict=True):
        table = dict(zip([*X, *W], [*sample, *w], strict=True))
        own = {p: v for p, v in table.items() if p in expression.parameters}
        assert value == pytest.approx(float(expression.bind(own)), abs=1e-14)


def test_weights_alone_give_one_number():
    angle = angle_function(2 * W[1], list(X), list(W), NUMPY_FUNCTIONS)
    assert np.shape(angle(np.zeros((4, 2)), np.ones(3))) == ()
    assert angle_function(0.7, [], [], NUMPY_FUNCTIONS)(None, None) == 0.7


def test_parameters_that_cancel_leave_a_number():
    weight = Parameter("w")
    angle = angle_function(weight - weight + 0.2, [], [weight], NUMPY_FUNCTIONS)
    assert angle(np.zeros((1, 0)), np.ones(1)) == pytest.approx(0.2)


def test_what_cannot_be_translated():
    with pytest.raises(CircuitError, match="complex"):
        angle_function(1j * W[0], [], list(W), NUMPY_FUNCTIONS)
    with pytest.raises(CircuitError, match="not translated: sin"):
        angle_function(W[0].sin(), [], list(W), {})
