"""Derivatives of vector-Jacobian products from states, compared with runs of shifted circuits."""

from __future__ import annotations

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from hybridopt import AerExecutor
from hybridopt.gradients import ParameterShift
from hybridopt.gradients.state_vjp import SHIFTS_OF_A_PASS
from tests.execution.aer.density_adjoint.noise_models import many_errors
from tests.nn.layers import function_of, layer_of, tensors

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated", "ignore:Please use `torch.vmap`:FutureWarning"
)
SWEEP = ParameterShift(simulate="sweep")
EXACT = {"rtol": 0, "atol": 1e-11}
NAMES = ["controlled_rotations", "expressions", "euler_angles", "no_inputs"]


def problem(name: str, rule, batch: int = 2, **options):
    """Return the layer, a loss of x and weights that is not linear in the outputs, and both."""
    layer = layer_of(name, gradient=rule, executor=AerExecutor(**options))
    outputs, (x, weight) = function_of(layer), tensors(name, batch)
    factors = torch.linspace(-1, 2, 3 * batch, dtype=torch.float64).reshape(batch, 3)

    def loss(x, weight):
        values = outputs(x, weight)
        return (factors * values).sum() + (values**3).sum()

    return layer, loss, x.detach(), weight.detach()


def blocks(transform, loss, x, weight) -> list[torch.Tensor]:
    """Return all blocks of the second derivatives."""
    return [part for row in transform(loss, argnums=(0, 1))(x, weight) for part in row]


@pytest.mark.parametrize("rule", ["adjoint", SWEEP], ids=repr)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"strategy": "in-place"}], ids=["circuits", "in place"])
def test_hessians_equal_those_of_shifted_circuits(name, rule, options):
    _, loss, x, weight = problem(name, "parameter-shift")
    expected = blocks(hessian, loss, x, weight)
    _, loss, x, weight = problem(name, rule, **options)
    for found, other in zip(blocks(hessian, loss, x, weight), expected, strict=True):
        torch.testing.assert_close(found, other, **EXACT)
    along = torch.linspace(1, -1, len(weight), dtype=torch.float64)
    product = torch.autograd.functional.vhp(lambda w: loss(x, w), weight, along)[1]
    torch.testing.assert_close(product, along @ expected[3], **EXACT)


def test_hessians_with_noise():
    found = []
    for rule in ("parameter-shift", "adjoint"):
        _, loss, x, weight = problem("euler_angles", rule, noise_model=many_errors())
        found.append(blocks(hessian, loss, x, weight))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_rows_of_a_hessian_share_the_gradients(aer_calls):
    """Two runs per pass, for first derivatives, gradients at shifted angles, and one table."""
    layer, loss, x, weight = problem("controlled_rotations", "adjoint", batch=3)
    matrix = torch.autograd.functional.hessian(lambda w: loss(x, w), weight, vectorize=True)
    assert matrix.shape == (len(weight), len(weight))
    shifts = sum(map(len, layer.program.shifts[1]))
    bases = layer.program_readout.num_settings
    assert layer.executor.usage.settings == 3 * bases * (1 + shifts)
    assert sum(aer_calls) == layer.executor.usage.runs < 10


@pytest.mark.parametrize("rule", ["adjoint", SWEEP], ids=repr)
def test_third_derivatives(rule):
    found = []
    for one in (rule, "parameter-shift"):
        _, loss, x, weight = problem("no_inputs", one, batch=1)

        def of_weight(w, loss=loss, x=x):
            return loss(x, w)

        found.append(jacrev(hessian(of_weight))(weight))
        found.append(jacfwd(jacrev(jacfwd(of_weight)))(weight))
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", ["adjoint", SWEEP], ids=repr)
@pytest.mark.parametrize("count", [1, 2, 20])
def test_stacks_of_cotangents_and_of_angles(rule, count):
    """Few cotangents run back, and many share the shifted circuits."""
    layer = layer_of("controlled_rotations", gradient=rule)
    shifts = sum(map(len, layer.program.shifts[1]))
    assert 2 * SHIFTS_OF_A_PASS < shifts < 20 * SHIFTS_OF_A_PASS
    function, (x, weight) = function_of(layer), tensors("controlled_rotations", 2)
    generator = torch.Generator().manual_seed(0)
    cotangents = torch.randn(count, 2, 3, dtype=torch.float64, generator=generator)
    x, weight = x.detach(), weight.detach()

    def product(cotangent, w):
        return torch.func.vjp(lambda v: function(x, v), w)[1](cotangent)[0]

    before = layer.executor.usage
    found = vmap(product, in_dims=(0, None))(cotangents, weight)
    used = layer.executor.usage - before
    weights = torch.stack([weight + 0.1 * number for number in range(count)])
    several = vmap(product)(cotangents, weights)
    plain = function_of(layer_of("controlled_rotations"))

    def expected(cotangent, w):
        return grad(lambda v: (plain(x, v) * cotangent).sum())(w)

    for one, cotangent, at, moved in zip(found, cotangents, weights, several, strict=True):
        torch.testing.assert_close(one, expected(cotangent, weight), **EXACT)
        torch.testing.assert_close(moved, expected(cotangent, at), **EXACT)
    if rule == SWEEP:
        bases = layer.program_readout.num_settings
        assert used.settings == 2 * bases * (1 + shifts)
