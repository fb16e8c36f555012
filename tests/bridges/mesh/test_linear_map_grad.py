"""Derivatives of a linear map that is known by its outputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hybridopt.bridges.mesh.readout import with_linear_grad


def matrix(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos() * angles[0]])


def product(x: Tensor, angles: Tensor) -> Tensor:
    """W x without autograd by x, as a circuit that loads x gives it."""
    return with_linear_grad(x, angles, x.detach() @ matrix(angles).T, matrix)


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor]:
    x = torch.tensor([[0.0, 0.0, 1.5], [0.2, -1.0, 0.0]], dtype=torch.float64)
    return x.requires_grad_(), torch.tensor([0.3, -0.7, 1.9], dtype=torch.float64).requires_grad_()


def test_derivatives_of_first_and_second_order_are_those_of_the_product(tensors):
    x, angles = tensors
    assert torch.autograd.gradcheck(product, (x, angles))
    found = torch.autograd.functional.hessian(lambda *a: product(*a).square().sum(), tensors)
    expected = torch.autograd.functional.hessian(
        lambda x, a: (x @ matrix(a).T).square().sum(), tensors
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_forward_mode_and_vmap_agree_with_the_product(tensors):
    x, angles = (tensor.detach() for tensor in tensors)
    tangents = (torch.ones_like(x), torch.arange(3.0).double())

    def plain(x: Tensor, angles: Tensor) -> Tensor:
        return x @ matrix(angles).T

    expected = torch.func.jvp(plain, (x, angles), tangents)
    actual = torch.func.jvp(product, (x, angles), tangents)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-14)
    batch = torch.stack([x, 2 * x])
    jacobians = torch.func.vmap(torch.func.jacrev(lambda x: product(x, angles).sum(0)))(batch)
    expected_rows = matrix(angles)[None, :, None].expand(2, 2, 2, 3)
    torch.testing.assert_close(jacobians, expected_rows, rtol=0, atol=1e-14)


def test_the_matrix_is_not_read_unless_it_is_asked_for(tensors):
    x, angles = tensors

    def forbidden(given: Tensor) -> Tensor:
        raise AssertionError

    outputs = with_linear_grad(x.detach(), angles, x.detach() @ matrix(angles).T, forbidden)
    outputs.sum().backward()
    assert angles.grad is not None
