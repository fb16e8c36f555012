"""Curvature products against dense derivatives taken another way."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from hybridopt.errors import ArgumentError, ExecutionError, TrainingError
from hybridopt.optim import curvature
from hybridopt.optim.curvature import FlatParameters, GaussNewton, Hessian, matrix, vjp_rows

ROUNDING = 1e-12  # some thousand operations on numbers of order one, at 1e-16 each


def trainable(network):
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def as_function(case):
    """The network's outputs as a function of one flat vector, with fixed random numbers."""
    named = trainable(case.network)

    def outputs(vector):
        torch.manual_seed(7)
        pieces = vector.split([p.numel() for p in named.values()])
        values = {n: v.reshape(p.shape) for (n, p), v in zip(named.items(), pieces, strict=True)}
        return functional_call(case.network, values, (case.x,))

    return outputs, torch.cat([p.detach().flatten() for p in named.values()])


@pytest.fixture(autouse=True)
def _plain_attention():
    with torch.random.fork_rng(), sdpa_kernel(SDPBackend.MATH):
        yield


def test_hessian_matches_torch_functional(case):
    function, vector = as_function(case)
    expected = hessian(lambda v: case.loss(function(v), case.y), vector)
    torch.manual_seed(7)
    actual = matrix(Hessian(case.closure(), FlatParameters(list(trainable(case.network).values()))))
    torch.testing.assert_close(actual, expected, rtol=0, atol=ROUNDING)


def test_gauss_newton_matches_explicit_product(case):
    function, vector = as_function(case)
    outputs = function(vector)
    jac = jacobian(function, vector).reshape(outputs.numel(), -1)
    inner = hessian(lambda out: case.loss(out, case.y), outputs)
    expected = jac.T @ inner.reshape(outputs.numel(), -1) @ jac
    torch.manual_seed(7)
    model = GaussNewton(
        *case.closure_with_outputs(), FlatParameters(list(trainable(case.network).values()))
    )
    torch.testing.assert_close(matrix(model), expected, rtol=0, atol=ROUNDING)
    expected_gradient = jac.T @ jacobian(lambda out: case.loss(out, case.y), outputs).flatten()
    torch.testing.assert_close(model.gradient, expected_gradient, rtol=0, atol=ROUNDING)


def test_gauss_newton_is_semi_definite_where_the_hessian_is_not(tanh_case):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    assert torch.linalg.eigvalsh(matrix(Hessian(tanh_case.closure(), flat))).min() < -1e-4
    model = GaussNewton(*tanh_case.closure_with_outputs(), flat)
    assert torch.linalg.eigvalsh(matrix(model)).min() > -ROUNDING


def test_gradient_keeps_a_penalty_that_does_not_pass_the_outputs(tanh_case):
    params = list(tanh_case.network.parameters())
    flat = FlatParameters(params)
    loss, outputs = tanh_case.closure_with_outputs()
    penalized = loss + 3 * params[0].square().sum()
    plain, with_penalty = Hessian(loss, flat), GaussNewton(penalized, outputs, flat)
    difference = (with_penalty.gradient - plain.gradient)[: params[0].numel()]
    torch.testing.assert_close(difference, 6 * params[0].detach().flatten())


def test_all_rows_share_one_backward_pass(tanh_case):
    passes = []
    hidden = tanh_case.network[0](tanh_case.x)
    hidden.register_hook(lambda _: passes.append(1))
    loss = tanh_case.loss(tanh_case.network[2](hidden.tanh()), tanh_case.y)
    matrix(Hessian(loss, FlatParameters(list(tanh_case.network.parameters()))))
    assert len(passes) == 2  # the gradient, and all 43 rows


def test_memory_bound_cuts_the_rows_and_changes_nothing(tanh_case, monkeypatch):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    whole = matrix(Hessian(tanh_case.closure(), flat))
    monkeypatch.setattr(curvature, "MAX_ELEMENTS", 2000)
    model = Hessian(tanh_case.closure(), flat)
    assert 1 <= model.rows_at_once < flat.size
    torch.testing.assert_close(matrix(model), whole, rtol=0, atol=ROUNDING)


def test_larger_batches_take_fewer_rows_at_once(tanh_case):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    few = Hessian(tanh_case.closure(), flat).rows_at_once
    tanh_case.x, tanh_case.y = tanh_case.x.repeat(50, 1), tanh_case.y.repeat(50)
    many = Hessian(tanh_case.closure(), flat).rows_at_once
    assert many < few / 10


def test_linear_loss_has_no_curvature():
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    model = Hessian((p * torch.tensor([1.0, 2.0, 3.0])).sum(), FlatParameters([p]))
    assert model.gradient.tolist() == [1, 2, 3]
    assert not matrix(model).any()


class Fails(torch.autograd.Function):
    """A simulator that breaks down in its backward pass."""

    calls = 0

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, cotangent):
        Fails.calls += 1
        raise ExecutionError("The simulator reported a failure.")


def test_our_own_errors_are_not_tried_again_row_by_row():
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ExecutionError, match="simulator reported"):
        vjp_rows([Fails.apply(x)], [x], [torch.eye(3, dtype=torch.float64)])
    assert Fails.calls == 1


def test_infinite_second_derivative_is_named():
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    with pytest.raises(TrainingError, match="second derivatives are not"):
        matrix(Hessian((p.abs() ** 1.5 + p).sum(), FlatParameters([p])))


def test_loss_that_does_not_come_from_the_outputs_is_refused(tanh_case):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    for outputs in (tanh_case.network(tanh_case.x), torch.ones(3)):
        with pytest.raises(ArgumentError, match="computed from these outputs"):
            GaussNewton(tanh_case.closure(), outputs, flat)


def test_reading_and_writing_changes_no_bit_in_any_precision():
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    params = [torch.randn(2, 3, 4).to(dtype) for dtype in dtypes] + [torch.randn(())]
    before = [p.clone() for p in params]
    flat = FlatParameters(params)
    assert flat.size == 3 * 24 + 1
    vector = flat.read()
    flat.write(torch.zeros_like(vector))
    assert not any(p.any() for p in params)
    flat.write(vector)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


def test_writing_is_seen_by_version_counters():
    """Networks that keep something computed from their weights look there."""
    p = torch.zeros(3)
    flat, version = FlatParameters([p]), p._version
    flat.write(torch.ones(3, dtype=torch.float64))
    assert p._version > version


def test_join_and_split_are_inverse_and_ordered():
    flat = FlatParameters([torch.zeros(2, 2), torch.zeros(3)])
    vectors = torch.arange(14, dtype=torch.float64).reshape(2, 7)
    pieces = flat.split(vectors)
    assert [piece.shape for piece in pieces] == [(2, 2, 2), (2, 3)]
    assert pieces[1].tolist() == [[4, 5, 6], [11, 12, 13]]
    assert torch.equal(flat.join(pieces), vectors)


def test_resolution_is_that_of_the_coarsest():
    params = [torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float32)]
    assert FlatParameters(params).resolution == 2.0**-23
