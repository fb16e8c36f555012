"""Newton's method on problems with known minimizers and on networks of every kind."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from hybridopt.errors import ArgumentError, ArgumentTypeError, TrainingError, UnknownNameError
from hybridopt.optim import Newton

SOLVERS = ["exact", "cg"]
CURVATURES = ["hessian", "gauss-newton"]


def parameter(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def closure_of(case, curvature):
    return case.closure if curvature == "hessian" else case.closure_with_outputs


def recorded(closure):
    """Return the closure and a list of the losses that it returned."""
    losses = []

    def call():
        result = closure()
        losses.append((result[0] if isinstance(result, tuple) else result).item())
        return result

    return call, losses


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("curvature", CURVATURES)
def test_linear_regression_takes_one_step(curvature, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(100, 2, generator=generator, dtype=torch.float64)
    design = torch.cat([x, torch.ones(100, 1, dtype=torch.float64)], dim=1)
    expected = torch.linalg.lstsq(design, y).solution.T
    network = nn.Linear(3, 2, dtype=dtype)

    def closure():
        outputs = network(x.to(dtype))
        loss = mse_loss(outputs, y.to(dtype))
        return loss if curvature == "hessian" else (loss, outputs)

    call, losses = recorded(closure)
    newton = Newton(network.parameters(), curvature=curvature)
    returned = newton.step(call)

    found = torch.cat([network.weight, network.bias[:, None]], dim=1).detach().double()
    error = 100 * torch.finfo(dtype).eps * torch.linalg.cond(design).item()  # 100 terms per sum
    torch.testing.assert_close(found, expected, rtol=0, atol=error)
    assert len(losses) == 2  # the loss with its graph, and the full step
    assert returned.item() == losses[0]
    assert newton.damping == 0


@pytest.mark.parametrize(
    ("dtype", "curvature", "solver"),
    [
        *((torch.float64, curvature, solver) for curvature in CURVATURES for solver in SOLVERS),
        (torch.float32, "hessian", "auto"),
    ],
)
def test_every_network_descends(case, dtype, curvature, solver):
    case.convert(dtype)
    call, losses = recorded(closure_of(case, curvature))
    newton = Newton(case.network.parameters(), curvature=curvature, solver=solver)
    for _ in range(3):
        losses.clear()
        newton.step(call)
        assert losses[-1] < losses[0]  # the last call is the accepted one
        assert all(p.isfinite().all() for p in case.network.parameters())


@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_training_reaches_a_stationary_point(tanh_case, curvature, solver):
    params = list(tanh_case.network.parameters())

    def closure():  # the penalized weights are outputs too, so Gauss-Newton sees their curvature
        weights = torch.cat([p.flatten() for p in params])
        outputs = torch.cat([tanh_case.network(tanh_case.x).flatten(), weights])
        scores = outputs[: -len(weights)].reshape(-1, 3)
        loss = tanh_case.loss(scores, tanh_case.y) + 0.05 * outputs[-len(weights) :].square().sum()
        return loss if curvature == "hessian" else (loss, outputs)

    newton = Newton(params, curvature=curvature, solver=solver)
    for _ in range(30 if curvature == "hessian" else 200):  # quadratic, and linear convergence
        newton.step(closure)
    result = closure()
    loss = result if curvature == "hessian" else result[0]
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, params)])
    assert gradient.norm() < 1e-7  # the loss resolves 1e-16, its square root the gradient


def test_frozen_and_unused_parameters_stay(tanh_case):
    network = tanh_case.network
    network[0].weight.requires_grad_(False)
    unused = parameter(1.0, 2.0, 3.0)
    frozen = network[0].weight.clone()
    Newton([*network.parameters(), unused]).step(tanh_case.closure)
    assert torch.equal(network[0].weight, frozen)
    assert unused.tolist() == [1, 2, 3]


def test_moves_from_a_saddle_to_a_minimum():
    p = parameter(1.0, 0.1)  # minima at (0, +-sqrt(2))
    newton = Newton([p])
    for _ in range(40):
        newton.step(lambda: p[0] ** 2 - p[1] ** 2 + p[1] ** 4 / 4)
    expected = torch.tensor([0.0, math.sqrt(2)], dtype=torch.float64)
    torch.testing.assert_close(p.detach(), expected, rtol=0, atol=1e-7)
    assert newton.damping == 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_convergence_is_quadratic_near_a_minimum(solver):
    p = parameter(0.6, -0.4, 0.3)
    coupling = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    newton, errors = Newton([p], solver=solver), []
    for _ in range(8):
        newton.step(lambda: torch.sum(coupling * (p.exp() - p)))  # minimum at 0
        errors.append(p.detach().norm().item())
    assert errors[-1] < 1e-8  # gradient and weights resolve the square root of 1e-16
    if solver == "exact":
        assert errors[1] < errors[0] ** 2
        assert errors[2] < errors[1] ** 2


def test_steps_avoid_undefined_losses():
    p = parameter(3.0)  # p - log p: the full step from 3 lands on -3, where log is undefined
    newton = Newton([p])
    for _ in range(30):
        newton.step(lambda: torch.sum(p - p.log()))
        assert p.item() > 0
    assert p.item() == pytest.approx(1.0, abs=1e-7)


def test_overflowing_weights_are_rejected():
    p = nn.Parameter(torch.tensor([1.0], dtype=torch.float16))
    Newton([p], lr=1e6).step(lambda: (p.float() * -1e3).sigmoid().sum() - 1e-3 * p.float().sum())
    assert p.isfinite().all()


def test_groups_scale_their_part_of_the_direction():
    a, b = parameter(1.0, -2.0), parameter(3.0, 4.0, 5.0)
    newton = Newton([{"params": [a]}, {"params": [b], "lr": 0.25}])
    newton.step(lambda: 2 * a.square().sum() + 3 * b.square().sum())
    assert a.abs().max() < 1e-15
    torch.testing.assert_close(b.detach(), 0.75 * torch.tensor([3.0, 4.0, 5.0]).double())


def test_ascent_by_unequal_rates_is_damped():
    a, b = parameter(1.0), parameter(1.0)  # direction (-3.01, 0.99) times (1e-3, 1): ascent
    groups = [{"params": [a], "lr": 1e-3}, {"params": [b]}]
    newton = Newton(groups)
    call, losses = recorded(lambda: torch.sum((a**2 + b**2) / 2 + 0.99 * a * b + 0.04 * a))
    newton.step(call)
    assert losses[-1] < losses[0]
    assert newton.damping > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_stay_bitwise_where_no_decrease_is_found(tanh_case, solver):
    calls = 0

    def closure():  # every trial has a higher loss than the start
        nonlocal calls
        calls += 1
        loss = tanh_case.closure()
        return loss if torch.is_grad_enabled() else loss + 10 + calls

    before = [p.clone() for p in tanh_case.network.parameters()]
    newton = Newton(tanh_case.network.parameters(), solver=solver, max_line_search=3)
    newton.step(closure)
    assert all(map(torch.equal, before, tanh_case.network.parameters()))
    assert calls <= 1 + 4 * 3
    assert newton.damping > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_line_search_at_the_minimum(solver):
    p = parameter(0.0, 0.0, 0.0)
    call, losses = recorded(lambda: p.square().sum())
    Newton([p], solver=solver).step(call)
    assert len(losses) == 1
    assert p.tolist() == [0, 0, 0]


def test_few_calls_at_rounding_level():
    p = parameter(0.3, -0.2, 0.7)
    newton = Newton([p])
    call, losses = recorded(lambda: 1 + (p - math.pi).square().sum() / 3)
    for _ in range(5):
        newton.step(call)
    assert len(losses) <= 2 + 4 * (1 + 4)
    assert (p.detach() - math.pi).abs().max() < 1e-15 * 8


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_weights_are_restored_when_a_trial_raises(tanh_case, error):
    def closure():
        if not torch.is_grad_enabled():
            raise error
        return tanh_case.closure()

    before = [p.clone() for p in tanh_case.network.parameters()]
    with pytest.raises(type(error)):
        Newton(tanh_case.network.parameters()).step(closure)
    assert all(map(torch.equal, before, tanh_case.network.parameters()))


def test_step_advances_random_numbers_like_one_call(dropout_case):
    torch.manual_seed(11)
    dropout_case.closure()
    expected = torch.rand(3)
    torch.manual_seed(11)
    Newton(dropout_case.network.parameters()).step(dropout_case.closure)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_resumed_run_equals_an_uninterrupted_one(tanh_case, curvature, solver):
    def steps(case, newton, count):
        for _ in range(count):
            newton.step(closure_of(case, curvature))

    options = {"curvature": curvature, "solver": solver, "lr": 0.9}
    newton = Newton(tanh_case.network.parameters(), **options)
    steps(tanh_case, newton, 4)
    resumed_case = copy.deepcopy(tanh_case)
    copied_case, copied = copy.deepcopy((tanh_case, newton))
    resumed = Newton(resumed_case.network.parameters())
    resumed.load_state_dict(pickle.loads(pickle.dumps(newton.state_dict())))
    assert resumed.damping == newton.damping
    if solver == "exact":
        assert newton.damping > 0  # otherwise the comparison does not test it
    steps(tanh_case, newton, 4)
    steps(resumed_case, resumed, 4)
    steps(copied_case, copied, 4)
    for case in (resumed_case, copied_case):
        pairs = zip(tanh_case.network.parameters(), case.network.parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)
    assert resumed.state_dict() == newton.state_dict()


def test_solver_is_chosen_by_size(tanh_case):
    products = {}
    for limit in (42, 43):  # the network has 43 numbers
        case = copy.deepcopy(tanh_case)
        Newton(case.network.parameters(), max_exact=limit).step(case.closure)
        products[limit] = case.network[0].weight.detach().clone()
    for solver, limit in (("cg", 42), ("exact", 43)):
        case = copy.deepcopy(tanh_case)
        Newton(case.network.parameters(), solver=solver).step(case.closure)
        assert torch.equal(case.network[0].weight, products[limit])


def test_learning_rate_schedulers_work():
    p = parameter(1.0, 2.0, 3.0)
    newton = Newton([p], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(newton, 0.5)
    newton.step(lambda: (p - 4).square().sum())
    scheduler.step()
    newton.step(lambda: p.square().sum())
    torch.testing.assert_close(p.detach(), torch.full((3,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda p: torch.sum(p * math.nan), "loss.* nan"),
        (lambda p: torch.sum(p * math.inf), "loss.* inf"),
        (lambda p: (p - 1).sqrt().sum(), "gradient"),
    ],
)
def test_infinite_loss_or_gradient(loss, message):
    p = parameter(1.0, 2.0)
    with pytest.raises(TrainingError, match=message):
        Newton([p]).step(lambda: loss(p))
    assert p.tolist() == [1, 2]


def test_backward_is_detected_by_its_freed_graph():
    p = parameter(1.0, 2.0, 3.0)

    def closure():
        loss = (p.exp() - p.exp().detach()).square().sum()  # its gradient is zero here
        loss.backward()
        return loss

    with pytest.raises(ArgumentError, match=r"`closure`.*`backward\(\)`"):
        Newton([p]).step(closure)
    assert p.tolist() == [1, 2, 3]


def test_loss_of_another_network(tanh_case):
    with pytest.raises(ArgumentError, match=r"`closure`.*parameter"):
        Newton(nn.Linear(4, 3).parameters()).step(tanh_case.closure)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"lr": 0.0}, ArgumentError, "`lr`.* 0"),
        ({"lr": math.nan}, ArgumentError, "`lr`.* nan"),
        ({"curvature": "gaus-newton"}, UnknownNameError, "curvature.*'gauss-newton'"),
        ({"solver": "cholesky"}, UnknownNameError, "solver.*'cholesky'"),
        ({"max_exact": -1}, ArgumentError, "`max_exact`"),
        ({"max_cg": 0}, ArgumentError, "`max_cg`"),
        ({"max_line_search": 0}, ArgumentError, "`max_line_search`"),
    ],
)
def test_wrong_settings(options, kind, message):
    with pytest.raises(kind, match=message):
        Newton([parameter(1.0)], **options)


def test_wrong_parameter_groups():
    with pytest.raises(ArgumentError, match="`solver`"):
        Newton([{"params": [parameter(1.0)]}, {"params": [parameter(2.0)], "solver": "cg"}])
    with pytest.raises(ArgumentError, match=r"`lr`.* -0.5"):
        Newton([{"params": [parameter(1.0)], "lr": -0.5}])

    with pytest.raises(ArgumentError, match="complex64"):
        Newton([nn.Parameter(torch.ones(3, dtype=torch.complex64))])


def test_step_without_closure_or_parameters(tanh_case):
    newton = Newton(tanh_case.network.parameters())
    with pytest.raises(ArgumentTypeError, match="`closure`"):
        newton.step()
    tanh_case.network.requires_grad_(False)
    with pytest.raises(ArgumentError, match=r"`params`.*frozen"):
        newton.step(tanh_case.closure)
