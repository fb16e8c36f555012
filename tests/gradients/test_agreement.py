"""Exact rules on every family, compared with a dense twin, PennyLane and differences."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from hybridopt import CircuitLayer
from hybridopt.execution import Probabilities
from tests.circuits.families import FAMILIES
from tests.nn.layers import EXACT_RULES, function_of, layer_of

PARAMETERIZED = [f for f in FAMILIES if f.inputs or f.weights]


def slopes_of(layer, rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Jacobians for inputs, shape (batch, K, I), and for weights, (batch, K, P)."""
    function = function_of(layer)
    x, weight = torch.tensor(rows), torch.tensor(weights)
    by_x, by_weight = torch.autograd.functional.jacobian(function, (x, weight))
    each = torch.arange(len(x))
    return by_x[each, :, each].numpy(), by_weight.numpy()


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_values_equal_those_of_the_dense_twin(family, rule):
    rows, weights = family.samples()
    outputs = layer_of(family, gradient=rule)(torch.tensor(rows))
    expected = family.expectations(rows, weights)
    np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", PARAMETERIZED, ids=lambda f: f.name)
def test_rules_and_pennylane_and_finite_differences_agree(family):
    rows, weights = family.samples(batch=2)
    shifted, adjoint = (slopes_of(layer_of(family, gradient=r), rows, weights) for r in EXACT_RULES)
    differences = family.slopes(rows, weights)
    for place in range(2):
        np.testing.assert_allclose(shifted[place], adjoint[place], rtol=0, atol=1e-11)
        np.testing.assert_allclose(shifted[place], differences[place], rtol=0, atol=1e-7)
    pytest.importorskip("pennylane")
    reference = import_module("tests.gradients.pennylane_reference").PennyLaneReference(family)
    values, by_parameters = reference.slopes(rows[1], weights)
    expected = family.expectations(rows[1:], weights)[0]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-11)
    ours = np.concatenate([shifted[0][1], shifted[1][1]], axis=1)
    np.testing.assert_allclose(ours, by_parameters, rtol=0, atol=1e-9)


@pytest.mark.parametrize("frozen", ["inputs", "weights"])
@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", ["controlled_rotations", "expressions", "repeated_parameters"])
def test_freezing_keeps_other_derivatives(name, rule, frozen):
    layer = layer_of(name, gradient=rule)
    family = next(f for f in FAMILIES if f.name == name)
    rows = family.samples()[0]
    cotangent = torch.linspace(-1, 2, 9).reshape(3, 3).double()
    x = torch.tensor(rows, requires_grad=True)
    both = torch.autograd.grad(layer(x), [x, layer.weight], cotangent)
    x.requires_grad_(frozen != "inputs")
    layer.weight.requires_grad_(frozen != "weights")
    alive, expected = (layer.weight, both[1]) if frozen == "inputs" else (x, both[0])
    (slope,) = torch.autograd.grad(layer(x), [alive], cotangent)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_gradients_of_probabilities(rule):
    family = next(f for f in FAMILIES if f.name == "exchanges")
    rows, weights = family.samples(batch=2)
    for readout, qubits in ((None, [0, 1, 2]), (Probabilities(qubits=(2, 0)), [2, 0])):
        layer = CircuitLayer(
            family.circuit, family.inputs, family.weights, readout, initial=weights, gradient=rule
        )

        def probabilities(r, w, qubits=qubits):
            return np.array([family.state(row, w).probabilities(qubits) for row in r])

        outputs = layer(torch.tensor(rows)).detach().numpy()
        np.testing.assert_allclose(outputs, probabilities(rows, weights), rtol=0, atol=1e-12)
        _, by_weights = slopes_of(layer, rows, weights)
        for place, unit in enumerate(np.eye(len(weights))):
            step = 1e-5 * unit
            up, down = probabilities(rows, weights + step), probabilities(rows, weights - step)
            np.testing.assert_allclose(
                by_weights[:, :, place], (up - down) / 2e-5, rtol=0, atol=1e-7
            )
