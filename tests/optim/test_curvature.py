"""Curvature products compared with dense derivatives of torch.autograd.functional."""

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
    """Return the outputs as a function of one flat vector, with fixed random numbers."""
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


def test_gradient_contains_a_penalty_on_the_weights(tanh_case):
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


def test_memory_bound_limits_the_rows(tanh_case, monkeypatch):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    model = Hessian(tanh_case.closure(), flat)
    whole, all_rows = matrix(model), model.rows_at_once
    with monkeypatch.context() as patch:
        patch.setattr(curvature, "MAX_ELEMENTS", 2000)
        model = Hessian(tanh_case.closure(), flat)
        assert 1 <= model.rows_at_once < flat.size
        torch.testing.assert_close(matrix(model), whole, rtol=0, atol=ROUNDING)
    tanh_case.x, tanh_case.y = tanh_case.x.repeat(50, 1), tanh_case.y.repeat(50)
    assert Hessian(tanh_case.closure(), flat).rows_at_once < all_rows / 10


def test_linear_loss_has_no_curvature():
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    model = Hessian((p * torch.tensor([1.0, 2.0, 3.0])).sum(), FlatParameters([p]))
    assert model.gradient.tolist() == [1, 2, 3]
    assert not matrix(model).any()


def test_our_errors_are_not_repeated_row_by_row():
    calls = []

    def fail(cotangent):
        calls.append(cotangent)
        raise ExecutionError("simulator")

    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y = x.clone()
    y.register_hook(fail)
    with pytest.raises(ExecutionError, match="simulator"):
        vjp_rows([y], [x], [torch.eye(3, dtype=torch.float64)])
    assert len(calls) == 1


def test_infinite_second_derivative():
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    with pytest.raises(TrainingError, match="second derivatives"):
        matrix(Hessian((p.abs() ** 1.5 + p).sum(), FlatParameters([p])))


def test_loss_must_depend_on_the_outputs(tanh_case):
    flat = FlatParameters(list(tanh_case.network.parameters()))
    for outputs in (tanh_case.network(tanh_case.x), torch.ones(3)):
        with pytest.raises(ArgumentError, match=r"`closure`.*\(loss, outputs\)"):
            GaussNewton(tanh_case.closure(), outputs, flat)


def test_reading_and_writing_is_exact_in_every_precision():
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
    assert all(p._version == 2 for p in params)  # caches compare these counters
    assert flat.resolution == 2.0**-7  # bfloat16


def test_join_and_split():
    flat = FlatParameters([torch.zeros(2, 2), torch.zeros(3)])
    vectors = torch.arange(14, dtype=torch.float64).reshape(2, 7)
    pieces = flat.split(vectors)
    assert [piece.shape for piece in pieces] == [(2, 2, 2), (2, 3)]
    assert pieces[1].tolist() == [[4, 5, 6], [11, 12, 13]]
    assert torch.equal(flat.join(pieces), vectors)
