"""Layers over patches of images, and layers that a loop calls many times."""

from __future__ import annotations

import pytest
import torch

from hybridopt import AerExecutor
from tests.nn.layers import EXACT_RULES, function_of, layer_of, tensors

NAME = "controlled_rotations"  # two inputs, three outputs
CALLS = 5


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_patches_cost_as_much_as_one_batch(rule):
    images = torch.linspace(-3, 3, 48, dtype=torch.float64).reshape(2, 3, 4, 2)
    found = []
    for given in (images, images.reshape(24, 2)):
        layer = layer_of(NAME, gradient=rule, executor=AerExecutor())
        x = given.clone().requires_grad_()
        outputs = layer(x)
        outputs.pow(2).sum().backward()
        slopes = [one.reshape(24, -1) for one in (outputs.detach(), x.grad)]
        found.append((*slopes, layer.weight.grad, layer.executor.usage))
    assert found[0][3] == found[1][3]
    for one, other in zip(found[0][:3], found[1][:3], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_each_call_of_a_loop_costs_as_much_as_one_call(rule):
    executor = AerExecutor()
    layer = layer_of(NAME, gradient=rule, executor=executor)
    x = tensors(NAME, 2)[0].detach().requires_grad_()
    layer(x).sum().backward()
    one = executor.usage
    hidden = x
    for _ in range(CALLS):
        hidden = x + layer(hidden)[:, :2]
    hidden.sum().backward()
    assert executor.usage - one == one * CALLS


def test_gradients_of_a_loop_are_those_of_differences():
    layer = layer_of(NAME, gradient="adjoint")
    function = function_of(layer)
    x, weight = (one.detach() for one in tensors(NAME, 2))

    def loop(weight):
        hidden = x
        for _ in range(CALLS):
            hidden = x + function(hidden, weight)[:, :2]
        return hidden.sum()

    (found,) = torch.autograd.grad(loop(weight.requires_grad_()), weight)
    for unit, slope in zip(1e-6 * torch.eye(3, dtype=torch.float64), found, strict=True):
        with torch.no_grad():
            difference = (loop(weight + unit) - loop(weight - unit)) / 2e-6
        torch.testing.assert_close(slope, difference, rtol=0, atol=1e-6)
