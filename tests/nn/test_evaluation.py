"""Circuits as torch functions: derivatives of any order, forward, backward and batched."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from qiskit.circuit.library import n_local
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from hybridopt import AerExecutor, CircuitLayer, gradients
from hybridopt.circuits import lower
from hybridopt.execution import Probabilities
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.optim import Newton
from tests.nn.layers import EXACT_RULES, function_of, layer_of, tensors

# raised inside torch, at the first use of forward mode and by `check_batched_grad` of torch 2.5
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated", "ignore:Please use `torch.vmap`:FutureWarning"
)

NAMES = ["controlled_rotations", "repeated_parameters", "no_inputs"]
EXACT = {"rtol": 0, "atol": 1e-11}


def problem(name: str, rule: str, batch: int = 2):
    """Return a loss that is not linear in the outputs, the outputs, inputs and weights."""
    outputs = function_of(layer_of(name, gradient=rule))
    x, weight = tensors(name, batch)

    def loss(x, weight):
        return (outputs(x, weight) ** 2).sum()

    return loss, outputs, x.detach(), weight.detach()


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", ["controlled_rotations", "expressions", "exchanges"])
def test_gradcheck_backward_forward_and_batched(name, rule):
    function = function_of(layer_of(name, gradient=rule))
    assert torch.autograd.gradcheck(
        function, tensors(name, 2), check_batched_grad=True, check_forward_ad=True
    )


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", ["controlled_rotations", "exchanges", "repeated_parameters"])
def test_gradgradcheck(name, rule):
    function = function_of(layer_of(name, gradient=rule))
    assert torch.autograd.gradgradcheck(function, tensors(name, 1), check_batched_grad=True)


@pytest.mark.parametrize("nested", [hessian, lambda f, n: jacfwd(jacfwd(f, n), n),
                                    lambda f, n: jacrev(jacrev(f, n), n),
                                    lambda f, n: jacrev(jacfwd(f, n), n)],
                         ids=["fwd-rev", "fwd-fwd", "rev-rev", "rev-fwd"])  # fmt: skip
@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", ["controlled_rotations", "no_inputs"])
def test_hessian_matches_differences_for_all_nestings_of_modes(name, rule, nested):
    loss, _, x, weight = problem(name, rule)
    found = nested(loss, 1)(x, weight)
    for step, row in zip(1e-4 * torch.eye(len(weight)).double(), found, strict=True):
        a, b, c, d = (grad(loss, 1)(x, weight + k * step) for k in (1, -1, 2, -2))
        # error of fourth order in the step: 1e-9
        torch.testing.assert_close(row, (8 * (a - b) - c + d) / 12e-4, rtol=0, atol=1e-7)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_mixed_second_derivatives_of_both_modes_agree(rule):
    loss, _, x, weight = problem("controlled_rotations", rule)
    mixed = jacrev(grad(loss, 1), 0)(x, weight)
    torch.testing.assert_close(mixed, jacfwd(grad(loss, 1), 0)(x, weight), **EXACT)
    assert mixed.abs().max() > 0.1


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_third_derivatives_match_differences(rule):
    loss, _, x, weight = problem("no_inputs", rule, batch=1)
    second = hessian(loss, 1)
    found = jacfwd(second, 1)(x, weight)
    step = 1e-4 * torch.tensor([1.0, 0.0, 0.0]).double()
    expected = (second(x, weight + step) - second(x, weight - step)) / 2e-4
    torch.testing.assert_close(found[..., 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", NAMES)
def test_jacobians_of_all_modes_agree(name, rule):
    _, outputs, x, weight = problem(name, rule)
    backward, forward = (mode(outputs, (0, 1))(x, weight) for mode in (jacrev, jacfwd))
    batched = torch.autograd.functional.jacobian(outputs, (x, weight), vectorize=True)
    for one, other, third in zip(backward, forward, batched, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
        torch.testing.assert_close(one, third, **EXACT)


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("name", [*NAMES, "expressions"])
def test_vmap_equals_a_loop(name, rule):
    loss, outputs, x, weight = problem(name, rule)
    several_x = torch.stack([x, x + 0.1, x * 0.5])
    several_w = torch.stack([weight, weight * 0.9, weight + 0.2])
    for function, result in ((outputs, outputs(x, weight)), (grad(loss, 1), weight)):
        for x_dim, w_dim in ((0, 0), (None, 0), (0, None)):
            given_x = x if x_dim is None else several_x
            given_w = weight if w_dim is None else several_w
            mapped = vmap(function, in_dims=(x_dim, w_dim))(given_x, given_w)
            xs = [x] * 3 if x_dim is None else given_x
            weights = [weight] * 3 if w_dim is None else given_w
            looped = torch.stack(list(map(function, xs, weights)))
            assert mapped.shape == (3, *result.shape)
            torch.testing.assert_close(mapped, looped, **EXACT)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_per_sample_gradients(rule):
    loss, _, x, weight = problem("controlled_rotations", rule, batch=4)
    each = vmap(grad(loss, 1), in_dims=(0, None))(x, weight)
    assert each.shape == (4, len(weight))
    torch.testing.assert_close(each.sum(0), grad(loss, 1)(x, weight), **EXACT)
    assert not torch.allclose(each[0], each[1])


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_graph_can_be_reused_with_other_cotangents(rule):
    layer = layer_of("controlled_rotations", gradient=rule)
    x, _ = tensors("controlled_rotations", 2)
    outputs = layer(x)
    slopes = [
        torch.autograd.grad(outputs[b, k], [x, layer.weight], retain_graph=True)
        for b, k in ((0, 0), (1, 2), (0, 0))
    ]
    for first, last in zip(slopes[0], slopes[2], strict=True):
        torch.testing.assert_close(first, last, rtol=0, atol=0)
    fresh = torch.autograd.grad(layer(x)[1, 2], [x, layer.weight])
    for one, other in zip(slopes[1], fresh, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize(
    ("rule", "least", "most"),
    [("parameter-shift", 16**2, (2 * 16 + 1) ** 2), ("adjoint", 32, 32 + 1)],
)
def test_newton_shares_evaluations_between_rows_of_the_hessian(rule, least, most):
    """P = 16 weights with two shifts each: (2 P + 1)^2 = 1,089 evaluations, not 16,928.

    With the adjoint rule, shifted circuits run only for first derivatives, forward and back.
    """
    ansatz = n_local(4, ["ry"], "cx", reps=3)
    executor = AerExecutor()
    layer = CircuitLayer(
        ansatz, (), list(ansatz.parameters), ["ZIII", "IZII"], executor, rule, torch.ones(16) / 3
    )
    x = torch.zeros(1, 0)
    optimizer = Newton(layer.parameters())

    def closure():
        return (layer(x) ** 2).sum()

    before = closure().item()
    first = executor.usage
    optimizer.step(closure)
    used = (executor.usage - first).settings
    assert least <= used <= most + 20  # 20 for the line search
    assert closure().item() < before


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_meta_device_gives_shapes_without_a_run(rule, aer_calls):
    layer = layer_of("expressions", gradient=rule).to("meta")
    x = torch.zeros(5, 2, dtype=torch.float64, device="meta", requires_grad=True)
    outputs = layer(x)
    assert outputs.is_meta
    assert outputs.shape == (5, 3)
    first = torch.autograd.grad(outputs.sum(), [x, layer.weight], create_graph=True)
    assert [slope.shape for slope in first] == [(5, 2), (4,)]
    second = torch.autograd.grad(first[1].sum(), layer.weight)
    assert second[0].shape == (4,)
    assert aer_calls == []


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_known_outputs_run_derivatives_only(rule, aer_calls):
    circuit = n_local(3, "ry", "cx", reps=1)
    program = lower(circuit, (), tuple(circuit.parameters))
    gradient = gradients.create(rule)
    evaluation = CircuitEvaluation(program, Probabilities(), AerExecutor(), gradient)
    rows = torch.zeros(1, 0, dtype=torch.float64)
    shared = torch.linspace(-1, 2, 6, dtype=torch.float64)[None].requires_grad_()
    weights = torch.linspace(0.5, -1, 8, dtype=torch.float64)
    known = evaluation(rows, shared).detach()
    runs = len(aer_calls)
    reusing = replace(evaluation, known=(shared.detach(), known))
    reused = reusing(rows, shared)
    assert torch.equal(reused, known)
    assert len(aer_calls) == runs
    (actual,) = torch.autograd.grad((reused**2 @ weights).sum(), shared)
    assert len(aer_calls) > runs
    (expected,) = torch.autograd.grad((evaluation(rows, shared) ** 2 @ weights).sum(), shared)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(reusing(rows, shared + 0.1), evaluation(rows, shared + 0.1))
