"""Second derivatives of the memory circuit, dense and sparse, and transforms of torch.func."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from tests.bridges.memories import closed_form_loss, hessian_by_rows, moved, quantum_mlp
from tests.bridges.networks import RECIPES

both_modes = pytest.mark.parametrize("training", [True, False])
every_form = pytest.mark.parametrize(
    "options", [{}, {"num_angles": 7}, {"num_angles": 7, "bridge": "twin"}], ids=str
)


@pytest.mark.parametrize("form", ["residual", "full"])
def test_twice_differentiable(form):
    network = nn.Sequential(nn.Linear(3, 1), nn.Tanh()).double()
    quantum, x = moved(ho.to_quantum(network, form=form)), torch.randn(2, 3).double()
    angles = quantum.angles.detach().clone().requires_grad_()

    def outputs(given):
        return functional_call(quantum, {"angles": given}, (x,))

    assert torch.autograd.gradcheck(outputs, angles)
    assert torch.autograd.gradgradcheck(outputs, angles)


@both_modes
@every_form
# torch warns about this when it first prepares forward-mode rules
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_hessian_is_that_of_the_closed_form(options, training, aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(**options).train(training)
    rows = hessian_by_rows(case, quantum)
    assert sum(aer_calls) == (0 if "bridge" in options else 4)
    angles = quantum.angles.detach().clone()
    expected = torch.autograd.functional.hessian(
        lambda a: closed_form_loss(case, quantum, a), angles
    )
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-10)
    actual = torch.func.hessian(quantum_loss(case, quantum))(angles)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def quantum_loss(case, quantum):
    return lambda a: (functional_call(quantum, {"angles": a}, (case.x,)) - 0.5).square().mean()


@both_modes
@every_form
def test_vmap_over_angles(options, training):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(**options).train(training)
    before = case.outputs(quantum)
    table = torch.stack([quantum.angles.detach(), -quantum.angles.detach()])
    gradients, losses = torch.func.vmap(torch.func.grad_and_value(quantum_loss(case, quantum)))(
        table
    )
    for angles, gradient, loss in zip(table, gradients, losses, strict=True):
        point = angles.clone().requires_grad_()
        expected = closed_form_loss(case, quantum, point)
        expected.backward()
        torch.testing.assert_close(loss, expected.detach(), rtol=0, atol=1e-10)
        torch.testing.assert_close(gradient, point.grad, rtol=0, atol=1e-10)
    torch.testing.assert_close(case.outputs(quantum), before, rtol=0, atol=1e-12)


def test_vmap_over_samples_takes_one_readout(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    rows = torch.func.vmap(quantum)(case.x)
    assert aer_calls == [1]
    torch.testing.assert_close(rows, case.outputs(quantum), rtol=0, atol=1e-12)
