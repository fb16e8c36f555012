"""Second derivatives of the memory circuit, and what torch.func makes of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

import hybridopt as ho
from tests.bridges.memories import closed_form_loss, hessian_by_rows, moved, quantum_mlp
from tests.bridges.networks import RECIPES

both_forms = pytest.mark.parametrize("form", ["residual", "full"])


@both_forms
def test_twice_differentiable(form):
    network = nn.Sequential(nn.Linear(3, 1), nn.Tanh()).double()
    quantum, x = moved(ho.to_quantum(network, form=form)), torch.randn(2, 3).double()
    angles = quantum.angles.detach().clone().requires_grad_()

    def outputs(given):
        return functional_call(quantum, {"angles": given}, (x,))

    assert torch.autograd.gradcheck(outputs, angles)
    assert torch.autograd.gradgradcheck(outputs, angles)


def quantum_loss(case, quantum):
    return lambda a: (functional_call(quantum, {"angles": a}, (case.x,)) - 0.5).square().mean()


@pytest.mark.parametrize("training", [True, False])
def test_hessian_of_four_settings(training, aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp().train(training)
    rows = hessian_by_rows(case, quantum)
    assert sum(aer_calls) == 4
    expected = torch.autograd.functional.hessian(
        lambda a: closed_form_loss(case, quantum, a), quantum.angles.detach()
    )
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-10)


# torch itself warns so where it first prepares forward-mode rules
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("training", [True, False])
def test_torch_func_takes_hessians(training):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp().train(training)
    angles = quantum.angles.detach().clone()
    expected = torch.autograd.functional.hessian(
        lambda a: closed_form_loss(case, quantum, a), angles
    )
    actual = torch.func.hessian(quantum_loss(case, quantum))(angles)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_torch_func_maps_over_angles(training):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp().train(training)
    table = torch.stack([quantum.angles.detach(), -quantum.angles.detach()])
    gradients = torch.func.vmap(torch.func.grad(quantum_loss(case, quantum)))(table)
    for angles, gradient in zip(table, gradients, strict=True):
        point = angles.clone().requires_grad_()
        closed_form_loss(case, quantum, point).backward()
        torch.testing.assert_close(gradient, point.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_torch_func_mapping_leaves_nothing_behind(training):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp().train(training)
    table = torch.stack([quantum.angles.detach(), -quantum.angles.detach()])
    before = case.outputs(quantum)
    for _ in range(2):
        losses = torch.func.vmap(quantum_loss(case, quantum))(table)
        expected = torch.stack([closed_form_loss(case, quantum, angles) for angles in table])
        torch.testing.assert_close(losses, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(case.outputs(quantum), before, rtol=0, atol=1e-12)


def test_torch_func_maps_over_samples_with_one_reading(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp()
    rows = torch.func.vmap(quantum)(case.x)
    assert aer_calls == [1]
    torch.testing.assert_close(rows, case.outputs(quantum), rtol=0, atol=1e-12)
