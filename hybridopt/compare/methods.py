"""Methods of a comparison: an optimizer, a bridge with an optimizer, or a chain of such stages."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from hybridopt import _validation, gradients
from hybridopt.bridges import Bridge
from hybridopt.bridges.api import create_bridge
from hybridopt.compare.method_text import FORMS, canonical, roles, share_of, split, term
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.optim import OPTIMIZERS
from hybridopt.training.schedulers import SCHEDULERS


@dataclass(frozen=True)
class Stage:
    """One part of a method: the network is carried into a bridge (or not) and trained.

    Attributes:
        optimizer: Name.
        bridge: The bridge, its options in it; None trains the plain network.
        share: Its share of the method's budget, in epochs where the budget is in epochs.
        lr: Base learning rate, which tuning multiplies; None is the optimizer's default.
        options: Further options of the optimizer.
        gradient: Name of the gradient rule of the circuits.
        batch_size: ``"auto"``, None (all samples) or a number.
        scheduler: Name of a learning-rate schedule over the stage's epochs; None keeps the rate.
        seeded: Whether the bridge's own random numbers were fixed by the user.
    """

    optimizer: str
    bridge: Bridge | None = None
    share: float | None = None
    lr: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    gradient: str = "parameter-shift"
    batch_size: int | str | None = "auto"
    scheduler: str | None = None
    seeded: bool = False

    @property
    def base_lr(self) -> float:
        """What tuning multiplies."""
        return OPTIMIZERS[self.optimizer].default_lr if self.lr is None else self.lr

    @property
    def full_batch(self) -> bool:
        """Whether a step sees all samples unless a batch size is given."""
        return OPTIMIZERS[self.optimizer].full_batch

    def to_dict(self) -> dict[str, Any]:
        """Plain types only; everything that changes the numbers."""
        bridge = None
        if self.bridge is not None:
            bridge = {"name": self.bridge.name, **_plain(self.bridge)}
        return {
            "optimizer": self.optimizer,
            "bridge": bridge,
            "share": self.share,
            "lr": self.base_lr,
            "options": {key: repr(value) for key, value in self.options.items()},
            "gradient": self.gradient if self.bridge is not None else None,
            "batch_size": self.batch_size,
            "scheduler": self.scheduler,
        }


class Method:
    """A way to train a network, as `hybridopt.compare` takes it.

    Args:
        text: An optimizer (``"adam"``), a bridge or control with an optimizer (``"memory+adam"``,
            ``"twin+adam"``; a bridge alone takes adam), or a chain of such stages, each with its
            share of the budget (``"adam:3 > memory+adam:5 > adam:10"``). Between stages a circuit
            is carried back into the plain network. Options stand in brackets:
            ``"memory(num_angles=64)+adam(lr=0.05)"``.
        name: In tables; None is the text.
        lr: Base learning rate of every stage, or one for each; tuning multiplies it. None is the
            optimizer's default.
        bridge: An instance of a bridge, for a text that names only an optimizer.
        bridge_options: Options of every bridge in the text.
        optimizer_options: Options of every optimizer.
        gradient: Name of the gradient rule of the circuits.
        batch_size: ``"auto"``, None for all samples, or a number.
        scheduler: Name of a learning-rate schedule, as `hybridopt.fit` takes it; it runs over the
            epochs of each stage, so the budget must have some.

    Raises:
        UnknownNameError: For an unknown optimizer, bridge or option; the nearest are listed.
        ArgumentError, ArgumentTypeError: If the text is not understood or an option unusable.

    Example:
        >>> from hybridopt import Method
        >>> method = Method("adam:3 > memory+adam:5")
        >>> [stage.optimizer for stage in method.stages], method.epochs
        (['adam', 'adam'], 8)
    """

    def __init__(
        self,
        text: str,
        *,
        name: str | None = None,
        lr: float | Sequence[float] | None = None,
        bridge: Bridge | None = None,
        bridge_options: Mapping[str, Any] | None = None,
        optimizer_options: Mapping[str, Any] | None = None,
        gradient: str = "parameter-shift",
        batch_size: int | str | None = "auto",
        scheduler: str | None = None,
    ) -> None:
        if not isinstance(text, str):
            raise ArgumentTypeError(
                f"A method must be a text such as {FORMS}, or a Method, but is {text!r} of type "
                f"{type(text).__name__}."
            )
        pieces = [piece.strip() for piece in split(text, ">")]
        if not all(pieces):
            raise ArgumentError(f"The method {text!r} has an empty stage. Write {FORMS}.")
        rates = _rates(text, lr, len(pieces))
        gradients.create(gradient)
        if scheduler is not None:
            _validation.choice("scheduler", scheduler, SCHEDULERS)
        given = _Given(
            bridge,
            dict(bridge_options or {}),
            dict(optimizer_options or {}),
            gradient,
            _batch_size(batch_size),
            scheduler,
        )
        self.stages: tuple[Stage, ...] = tuple(
            _stage(text, piece, given, rate) for piece, rate in zip(pieces, rates, strict=True)
        )
        if bridge_options and (bridge is not None or not self.uses_bridge):
            raise ArgumentError(
                f"The method {text!r} names no bridge that bridge_options could be for. Name it, "
                'as "memory+adam", or set the options on the instance.'
            )
        shares = [stage.share for stage in self.stages]
        if None in shares and any(share is not None for share in shares):
            raise ArgumentError(
                f"The method {text!r} gives a share of the budget to some stages only. Give one to "
                "all or to none."
            )
        carried = "" if bridge is None else f"{bridge.name}+"
        self.name = carried + canonical(pieces) if name is None else _checked_name(name)

    @classmethod
    def of(cls, value: object) -> Method:
        """A Method as it is, or one from its text."""
        return value if isinstance(value, Method) else cls(value)  # type: ignore[arg-type]

    @property
    def shares(self) -> list[float]:
        """What each stage gets of the budget."""
        return [1.0 if stage.share is None else stage.share for stage in self.stages]

    @property
    def epochs(self) -> int | None:
        """The shares, read as epochs, in all; None where the text gives none."""
        shares = [stage.share for stage in self.stages if stage.share is not None]
        return round(sum(shares)) if shares else None

    @property
    def uses_bridge(self) -> bool:
        """Whether any stage carries the network into a bridge."""
        return any(stage.bridge is not None for stage in self.stages)

    def to_dict(self) -> list[dict[str, Any]]:
        """The stages in plain types: everything that changes the numbers, and not the name."""
        return [stage.to_dict() for stage in self.stages]

    def __repr__(self) -> str:
        return f"Method({self.name!r})"


@dataclass(frozen=True)
class _Given:
    """What a Method was given beside its text."""

    bridge: Bridge | None
    bridge_options: dict[str, Any]
    optimizer_options: dict[str, Any]
    gradient: str
    batch_size: int | str | None
    scheduler: str | None


def _stage(text: str, piece: str, given: _Given, lr: float | None) -> Stage:
    body, share = share_of(text, piece)
    terms = [term(text, part) for part in split(body, "+")]
    bridge_term, (optimizer, own) = roles(text, terms)
    if given.bridge is not None and not isinstance(given.bridge, Bridge):
        raise ArgumentTypeError(
            f"Argument `bridge` of a Method must be an instance of a bridge, but is "
            f"{given.bridge!r}. Name it in the text, as {FORMS}."
        )
    if given.bridge is not None and bridge_term is not None:
        raise ArgumentError(f"The method {text!r} names a bridge; leave out `bridge=`.")
    options = {**given.optimizer_options, **own}
    rate = options.pop("lr", lr)
    known = [p for p in inspect.signature(OPTIMIZERS[optimizer].build).parameters if p != "params"]
    _validation.keywords(f"Optimizer {optimizer!r}", options, known)
    bridge, seeded = given.bridge, given.bridge is not None
    if bridge_term is not None:
        name, extra = bridge_term
        chosen = {**given.bridge_options, **extra}
        bridge = create_bridge(name, chosen)
        seeded = "seed" in chosen or isinstance(chosen.get("of"), Bridge)
    if bridge is not None:
        bridge = _of_python(bridge)
    if rate is not None:
        rate = _validation.real("lr", rate, minimum=0, strict=True)
    return Stage(
        optimizer, bridge, share, rate, options, given.gradient, given.batch_size,
        given.scheduler, seeded,
    )  # fmt: skip


def _rates(text: str, lr: object, stages: int) -> list[float | None]:
    if lr is None:
        return [None] * stages
    if isinstance(lr, Sequence) and not isinstance(lr, str):
        if len(lr) != stages:
            raise ArgumentError(
                f"The method {text!r} has {stages} stages, but `lr` has {len(lr)} numbers."
            )
        return [_validation.real("lr", rate, minimum=0, strict=True) for rate in lr]
    return [_validation.real("lr", lr, minimum=0, strict=True)] * stages


def _batch_size(value: object) -> int | str | None:
    if value == "auto":
        return "auto"
    return _validation.optional_integer("batch_size", value, minimum=1)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ArgumentTypeError(f"The name of a method must be a text, but is {name!r}.")
    return " ".join(name.split())


def _of_python(bridge: Bridge) -> Bridge:
    """The bridge, its numbers of Python's types, where they were of NumPy's."""
    assert is_dataclass(bridge)
    numbers = {
        one.name: _pythonic(value)
        for one in fields(bridge)
        if one.init and isinstance(value := getattr(bridge, one.name), np.generic)
    }
    return replace(bridge, **numbers) if numbers else bridge


def _pythonic(value: object) -> object:
    """A number of NumPy as one of Python; what else is no plain type by its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, list | tuple):
        return [_pythonic(one) for one in value]
    return repr(value)


def _plain(bridge: Bridge) -> dict[str, Any]:
    """Its options by name; nested bridges become mappings too."""
    assert is_dataclass(bridge)
    return {
        key: {"name": value.name, **_plain(value)}
        if isinstance(value, Bridge)
        else _pythonic(value)
        for key, value in ((name, getattr(bridge, name)) for name in asdict(bridge))
    }
