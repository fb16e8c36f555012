"""Optimizers by name, each on every problem of one list."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from packaging.version import Version
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import softplus

from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from hybridopt.optim import OPTIMIZERS, Newton, create, spec_of

NAMES = ["gd", "sgd", "newton", "adagrad", "rmsprop", "adam", "lbfgs"]


@dataclass(frozen=True)
class Problem:
    """Loss with its minimizer; ``lipschitz`` and ``convexity`` are bounds of its Hessian."""

    loss: Callable[[Tensor], Tensor]
    minimizer: Tensor
    lipschitz: float
    convexity: float


def quadratic() -> Problem:
    """Return a quadratic form with condition number 20 and rotated axes."""
    generator = torch.Generator().manual_seed(2)
    axes = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    hessian = axes @ torch.diag(torch.tensor([0.1, 0.7, 2.0], dtype=torch.float64)) @ axes.T
    minimizer = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    return Problem(lambda p: (p - minimizer) @ hessian @ (p - minimizer) / 2, minimizer, 2.0, 0.1)


def linear_regression() -> Problem:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(50, generator=generator, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(2 * x.T @ x / 50)
    minimizer = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    bounds = eigenvalues[-1].item(), eigenvalues[0].item()
    return Problem(lambda p: (x @ p - y).square().mean(), minimizer, *bounds)


def logistic_regression() -> Problem:
    """Return a problem with penalty 0.1 / 2 times the squared norm, solved by scikit-learn."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    y = (torch.rand(50, generator=generator, dtype=torch.float64) < torch.sigmoid(2 * x[:, 0])) * 1
    reference = LogisticRegression(
        C=1 / (50 * 0.1), fit_intercept=False, tol=1e-12, solver="newton-cholesky"
    )
    minimizer = torch.tensor(reference.fit(x.numpy(), y.numpy()).coef_[0])
    lipschitz = torch.linalg.eigvalsh(x.T @ x / 50)[-1].item() / 4 + 0.1
    signs = 1 - 2 * y

    def loss(p: Tensor) -> Tensor:
        return softplus(signs * (x @ p)).mean() + 0.05 * p.square().sum()

    return Problem(loss, minimizer, lipschitz, 0.1)


SETTINGS = {  # options, steps, and the factor of the rate after them
    "newton": ({}, 8, 1.0),
    "lbfgs": ({"tolerance_grad": 1e-12, "tolerance_change": 1e-16}, 4, 1.0),
    "adagrad": ({"lr": 1.0}, 500, 1.0),
    "rmsprop": ({"lr": 0.1}, 1000, 1e-5),  # the size of its steps is always its rate
    "adam": ({"lr": 0.1}, 600, 1.0),
}


def settings(name: str, problem: Problem) -> tuple[dict[str, float], int, float]:
    """Return options, steps and decay; at rate 1 / L, a step contracts errors by 1 - mu / L."""
    if name in SETTINGS:
        return SETTINGS[name]
    contraction = 1 - problem.convexity / problem.lipschitz
    return {"lr": 1 / problem.lipschitz}, math.ceil(math.log(1e-9) / math.log(contraction)), 1.0


def run(optimizer: torch.optim.Optimizer, p: Tensor, loss, steps: int, decay: float = 1.0) -> None:
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)

    def closure() -> Tensor:
        value = loss(p)
        if not isinstance(optimizer, Newton):
            optimizer.zero_grad()
            value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
        scheduler.step()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [quadratic, linear_regression, logistic_regression])
def test_every_optimizer_solves_every_problem(name, make):
    problem = make()
    options, steps, shrunk = settings(name, problem)
    p = nn.Parameter(torch.tensor([0.3, 0.4, -0.6], dtype=torch.float64))
    run(create(name, [p], **options), p, problem.loss, steps, decay=shrunk ** (1 / steps))
    # a loss of order one resolves 1e-16, so weights are found to sqrt(2e-16 / convexity)
    tolerance = 2 * math.sqrt(2e-16 / problem.convexity)
    torch.testing.assert_close(p.detach(), problem.minimizer, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "steps"), [("newton", 40), ("lbfgs", 10)])
def test_second_order_methods_solve_rosenbrock(name, steps):
    p = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    optimizer = create(name, [p], **SETTINGS[name][0])
    run(optimizer, p, lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2, steps)
    assert (p.detach() - 1).abs().max() < 1e-6


def test_registry_is_read_only_and_complete():
    assert list(OPTIMIZERS) == NAMES
    full_batch = {name for name, spec in OPTIMIZERS.items() if spec.full_batch}
    assert full_batch == {"gd", "newton", "lbfgs"}
    with pytest.raises(TypeError):
        OPTIMIZERS["mine"] = OPTIMIZERS["gd"]


@pytest.mark.parametrize("name", NAMES)
def test_default_learning_rate_is_the_documented_one(name):
    optimizer = create(name, [nn.Parameter(torch.ones(3))])
    (documented,) = (x for x in create.__doc__.splitlines() if x.strip().startswith(f"{name} "))
    assert optimizer.param_groups[0]["lr"] == OPTIMIZERS[name].default_lr
    assert f" {OPTIMIZERS[name].default_lr} " in documented


@pytest.mark.parametrize("name", NAMES)
def test_lr_and_options_reach_the_constructor(name):
    option = {"adam": {"eps": 1e-3}, "newton": {"solver": "cg"}, "lbfgs": {"max_iter": 3}}
    given = option.get(name, {"weight_decay": 0.25})
    group = create(name, nn.Linear(2, 3).parameters(), lr=0.125, **given).param_groups[0]
    assert group["lr"] == 0.125
    assert given.items() <= group.items()
    if name == "lbfgs":
        assert group["line_search_fn"] == "strong_wolfe"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gd"])
def test_instances_are_recognised_and_returned(name):
    network = nn.Linear(2, 3)
    optimizer = create(name, network.parameters())
    assert spec_of(optimizer) is spec_of(name) is OPTIMIZERS[name]
    assert create(optimizer, network.parameters()) is optimizer


def test_instances_of_other_classes():
    network = nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(network.parameters())  # a subclass of Adam
    assert spec_of(optimizer) is None
    assert create(optimizer, [network.bias]) is optimizer

    class Mine(Newton):
        pass

    assert spec_of(Mine(network.parameters())) is OPTIMIZERS["newton"]


names_of_parameters = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.6"), reason="torch takes no names of parameters"
)


@pytest.mark.parametrize(
    "shape",
    [
        lambda n: [{"params": [n.weight]}, {"params": n.bias, "lr": 0.5}],
        pytest.param(lambda n: n.named_parameters(), marks=names_of_parameters),
        lambda n: iter(n.parameters()),
    ],
)
def test_all_forms_of_params(shape):
    network = nn.Linear(2, 3)
    optimizer = create("adam", shape(network))
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {
        id(p) for p in network.parameters()
    }
    assert create(optimizer, shape(network)) is optimizer


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("optimizer", "arguments", "error", "message"),
    [
        ("adm", {}, UnknownNameError, "'adm'.*'adam'"),
        (torch.optim.Adam, {}, ArgumentTypeError, r"instance .*Adam\(network"),
        (3, {}, ArgumentTypeError, "optimizer.* 3"),
        ("sgd", {"momentun": 0.9}, UnknownNameError, "'sgd'.*'momentum'"),
        ("newton", {"lr": 0.0}, ArgumentError, "`lr`.* 0"),
        ("newton", {"max_cg": 0}, ArgumentError, "`max_cg`"),
        ("adam", {"lr": True}, ArgumentTypeError, "`lr`.* True"),
        ("instance", {"lr": 0.1}, ArgumentError, "`lr`.*Adam"),
        ("instance", {"betas": (0, 0)}, ArgumentError, "`betas`.*Adam"),
        ("another", {}, ArgumentError, "`optimizer`.*Adam"),
        ("adam", {"params": []}, ArgumentError, "`params`"),
        ("instance", {"params": []}, ArgumentError, "`params`"),
        ("adam", {"params": None}, ArgumentTypeError, "`params`.*NoneType"),
    ],
)
def test_wrong_arguments(optimizer, arguments, error, message):
    network = nn.Linear(2, 3)
    owners = {"instance": network, "another": nn.Linear(2, 3)}
    if optimizer in owners:
        optimizer = torch.optim.Adam(owners[optimizer].parameters())
    with pytest.raises(error, match=message):
        create(optimizer, **{"params": network.parameters(), **arguments})
