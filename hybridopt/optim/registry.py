"""Optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch.optim import LBFGS, SGD, Adagrad, Adam, Optimizer, RMSprop
from torch.optim.optimizer import ParamsT

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError
from hybridopt.optim.newton import Newton, check_params


@dataclass(frozen=True)
class OptimizerSpec:
    """Constructor and defaults of an optimizer with a name.

    Attributes:
        name: Name of the optimizer.
        build: Constructor, ``build(params, lr=..., **options)``.
        default_lr: Default learning rate.
        full_batch: True if a step uses all samples by default.
        defaults: Options that differ from the defaults of the constructor.

    Example:
        >>> from hybridopt.optim import OPTIMIZERS
        >>> OPTIMIZERS["adam"].default_lr, OPTIMIZERS["gd"].full_batch
        (0.01, True)
    """

    name: str
    build: Callable[..., Optimizer]
    default_lr: float
    full_batch: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def describes(self, optimizer: Optimizer) -> bool:
        """Return whether ``optimizer`` is of this class; full-batch methods may be subclassed."""
        assert isinstance(self.build, type)
        if self.full_batch:
            return isinstance(optimizer, self.build)
        return type(optimizer) is self.build


OPTIMIZERS: Mapping[str, OptimizerSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            OptimizerSpec("gd", SGD, 0.1, full_batch=True),
            OptimizerSpec("sgd", SGD, 0.1),
            OptimizerSpec("newton", Newton, 1.0, full_batch=True),
            OptimizerSpec("adagrad", Adagrad, 0.05),
            OptimizerSpec("rmsprop", RMSprop, 0.01),
            OptimizerSpec("adam", Adam, 0.01),
            OptimizerSpec(
                "lbfgs", LBFGS, 1.0, full_batch=True, defaults={"line_search_fn": "strong_wolfe"}
            ),
        )
    }
)
"""Optimizers by name: gd, sgd, newton, adagrad, rmsprop, adam, lbfgs."""


def option_names(build: Callable[..., Optimizer]) -> list[str]:
    """Return the names of the arguments of a constructor, without ``params`` and ``lr``."""
    return [name for name in inspect.signature(build).parameters if name not in {"params", "lr"}]


def spec_of(optimizer: str | Optimizer) -> OptimizerSpec | None:
    """Return the entry of an optimizer.

    Args:
        optimizer: Name or instance. An instance of torch's SGD counts as ``"sgd"``, since only
            the batches distinguish it from ``"gd"``.

    Returns:
        Entry in `OPTIMIZERS`; None for an instance of another class.

    Raises:
        UnknownNameError: If the name is unknown.

    Example:
        >>> import torch
        >>> from hybridopt.optim import spec_of
        >>> spec_of(torch.optim.Adam([torch.zeros(2)])).name
        'adam'
    """
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        name = optimizer.__name__
        raise ArgumentTypeError(
            f"The optimizer must be a name or an instance (got the class {name}). Pass "
            f"`{name}(network.parameters(), lr=...)`."
        )
    if not isinstance(optimizer, Optimizer):
        return OPTIMIZERS[_validation.choice("optimizer", optimizer, OPTIMIZERS)]
    specs = (spec for name, spec in OPTIMIZERS.items() if name != "gd")
    return next((spec for spec in specs if spec.describes(optimizer)), None)


def create(
    optimizer: str | Optimizer, params: ParamsT, *, lr: float | None = None, **options: Any
) -> Optimizer:
    """Create an optimizer from its name, or check an instance.

    ======== =============================== ============ =============
    name     method                          ``lr=None``  samples
    ======== =============================== ============ =============
    gd       gradient descent                0.1          all
    sgd      stochastic gradient descent     0.1          a batch
    newton   `Newton`                        1.0          all
    adagrad  `torch.optim.Adagrad`           0.05         a batch
    rmsprop  `torch.optim.RMSprop`           0.01         a batch
    adam     `torch.optim.Adam`              0.01         a batch
    lbfgs    `torch.optim.LBFGS`, with       1.0          all
             strong Wolfe line search
    ======== =============================== ============ =============

    Args:
        optimizer: Name from the table, or an instance, which is returned unchanged.
        params: Parameters or groups of them.
        lr: Learning rate; None for the default in the table.
        options: Further arguments of the constructor.

    Returns:
        The optimizer.

    Raises:
        UnknownNameError: If the name or an option is unknown.
        ArgumentError: If ``params`` is empty, if ``lr`` is not positive and finite, or if an
            instance is given with ``lr``, options or other ``params``.

    Example:
        >>> from hybridopt.optim import create
        >>> from torch import nn
        >>> type(create("rmsprop", nn.Linear(3, 2).parameters())).__name__
        'RMSprop'
    """
    groups = check_params(params)
    spec = spec_of(optimizer)
    if isinstance(optimizer, Optimizer):
        _check_instance(optimizer, groups, lr=lr, options=options)
        return optimizer
    assert spec is not None
    _validation.keywords(f"Optimizer {spec.name!r}", options, option_names(spec.build))
    rate = spec.default_lr if lr is None else _validation.real("lr", lr, minimum=0, strict=True)
    try:
        return spec.build(groups, lr=rate, **{**spec.defaults, **options})
    except HybridOptError:
        raise
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            f"Options of optimizer {spec.name!r} must be valid ({type(error).__name__}: {error})."
        ) from error


def _check_instance(
    optimizer: Optimizer, params: list[Any], *, lr: float | None, options: Mapping[str, Any]
) -> None:
    given = [*(["lr"] if lr is not None else []), *options]
    if given:
        raise ArgumentError(
            f"`{given[0]}` must be left out with an optimizer instance. Set it when you create the "
            f"{type(optimizer).__name__}."
        )
    own, others = (
        {p for group in one.param_groups for p in group["params"]}
        for one in (optimizer, Optimizer(params, {}))  # torch accepts all forms of parameters
    )
    if own.isdisjoint(others):
        raise ArgumentError(
            f"`optimizer` must have parameters of the network (got {type(optimizer).__name__} "
            "with others). Create it from the trained network, after its conversion."
        )
