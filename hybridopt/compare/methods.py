"""Methods of a comparison: an optimizer, a bridge with an optimizer, or a chain of such stages.

In a text, `>` separates stages, `+` follows a bridge, `:` precedes a share of the budget, and
`(...)` encloses options.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from hybridopt import _validation, gradients
from hybridopt.bridges import BRIDGES, Bridge
from hybridopt.bridges.api import create_bridge
from hybridopt.compare.executors import ExecutorSource, check_source, source_settings
from hybridopt.compare.resampling import NetworkSource, check_network
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.optim import OPTIMIZERS
from hybridopt.training.batches import MINIBATCH
from hybridopt.training.schedulers import SCHEDULERS

Term = tuple[str, dict[str, Any]]  # a name and its options
DEFAULT_OPTIMIZER = "adam"
EXAMPLES = '"adam", "memory+adam", "adam:3 > memory+adam:5 > adam:10"'
_OF_EXECUTORS = {"executor": None, "portion": 1.0, "continues": False}  # left out by default
_TERM = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Stage:
    """One part of a method: the network is encoded with a bridge, if there is one, and trained."""

    optimizer: str
    bridge: Bridge | None = None  # None trains the plain network
    share: float | None = None  # share of the method's budget; the epochs of a budget in epochs
    lr: float | None = None  # base learning rate; None is the optimizer's default
    options: Mapping[str, Any] = field(default_factory=dict)  # options of the optimizer
    gradient: str = "parameter-shift"
    batch_size: int | str | None = "auto"  # None is all samples
    scheduler: str | None = None
    seeded: bool = False  # True if the user set the seed of the bridge
    executor: ExecutorSource = None  # None is that of the comparison or of the network
    portion: float = 1.0  # part of the share, for one of several executors that take turns
    continues: bool = False  # True if only the executor changes after the stage before

    @property
    def base_lr(self) -> float:
        """Base learning rate; tuning multiplies it by a factor."""
        return OPTIMIZERS[self.optimizer].default_lr if self.lr is None else self.lr

    @property
    def step_samples(self) -> int | None:
        """Number of samples per step; None is all samples."""
        if isinstance(self.batch_size, str):  # "auto"
            return None if OPTIMIZERS[self.optimizer].full_batch else MINIBATCH
        return self.batch_size

    def to_dict(self) -> dict[str, Any]:
        """Return all settings that change the results, in plain types."""
        shown = [f for f in fields(self) if f.name != "seeded"]
        content = {f.name: getattr(self, f.name) for f in shown if f.name not in _OF_EXECUTORS}
        given = {n: getattr(self, n) for n, d in _OF_EXECUTORS.items() if getattr(self, n) != d}
        if self.executor is not None:
            given["executor"] = source_settings(self.executor)
        return {
            **content,
            **given,
            "bridge": None if self.bridge is None else _plain(self.bridge),
            "lr": self.base_lr,
            "options": {key: repr(value) for key, value in self.options.items()},
            "gradient": None if self.bridge is None else self.gradient,
        }


class Method:
    """A method of `hybridopt.compare` to train a network.

    Args:
        text: An optimizer (``"adam"``), a bridge or control with an optimizer (``"memory+adam"``,
            ``"twin+adam"``; the default optimizer is adam), or a chain of such stages with their
            shares of the budget (``"adam:3 > memory+adam:5 > adam:10"``). Between stages, the
            network is decoded. Options are in parentheses:
            ``"memory(num_angles=64)+adam(lr=0.05)"``.
        name: Name in tables; None is the text.
        network: Network of this method, in a form of `compare`; None is that of the comparison.
        lr: Base learning rate of all stages, or a list with one per stage; tuning multiplies it.
            None is the optimizer's default.
        bridge: Instance of a bridge, for a text that names only an optimizer.
        bridge_options: Options of all bridges in the text.
        optimizer_options: Options of all optimizers.
        gradient: Name of the gradient rule of the circuits.
        batch_size: Number of samples per step, ``"auto"``, or None for all samples.
        scheduler: Name of a learning-rate schedule of `hybridopt.fit`. It covers the epochs of
            each stage, so the budget must limit epochs.
        executor: Executor of the circuits in training, or a function of a seed that makes one.
            It replaces that of `compare`. A list of pairs (executor, share) is a schedule: the
            executors take turns in the training, each for its share of the budget. Weights,
            optimizer and learning-rate schedule continue. ``[(ideal, 3), (noisy, 1)]`` trains the
            last quarter with noise.

    Raises:
        UnknownNameError: If an optimizer, bridge or option is unknown.
        ArgumentError, ArgumentTypeError: If the text or an option is invalid.

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
        network: NetworkSource | None = None,
        lr: float | Sequence[float] | None = None,
        bridge: Bridge | None = None,
        bridge_options: Mapping[str, Any] | None = None,
        optimizer_options: Mapping[str, Any] | None = None,
        gradient: str = "parameter-shift",
        batch_size: int | str | None = "auto",
        scheduler: str | None = None,
        executor: ExecutorSource | Sequence[tuple[ExecutorSource, float]] = None,
    ) -> None:
        if not isinstance(text, str):
            raise ArgumentTypeError(
                f"`text` must be a method such as {EXAMPLES} (got {text!r} of type "
                f"{type(text).__name__})."
            )
        self.network = None if network is None else check_network(network)
        if bridge is not None:
            _validation.instance("bridge", bridge, Bridge, "an instance of a bridge, or None")
        pieces = [piece.strip() for piece in _split(text, ">")]
        if not all(pieces):
            raise ArgumentError(f"Method {text!r} has an empty stage. Examples: {EXAMPLES}.")
        gradients.create(gradient)
        if scheduler is not None:
            _validation.choice("scheduler", scheduler, SCHEDULERS)
        if batch_size != "auto":
            batch_size = _validation.optional_integer("batch_size", batch_size, minimum=1)
        options, more = optimizer_options or {}, bridge_options or {}
        given = Stage("", bridge, None, None, options, gradient, batch_size, scheduler)
        stages = tuple(
            _stage(text, piece, replace(given, lr=rate), more)
            for piece, rate in zip(pieces, _rates(text, lr, len(pieces)), strict=True)
        )
        self.stages = _with_executors(text, stages, executor)
        if bridge_options and (bridge is not None or not self.uses_bridge):
            raise ArgumentError(
                f"`bridge_options` need a bridge in the text of the method (got {text!r}). Write "
                'for example "memory+adam", or set the options of the instance `bridge`.'
            )
        if len({stage.share is None for stage in self.stages}) > 1:
            raise ArgumentError(
                f"Method {text!r} must give a share of the budget (as in `adam:3`) for all "
                "stages or for none."
            )
        if name is None:
            self.name = ("" if bridge is None else f"{bridge.name}+") + _canonical(pieces)
        elif isinstance(name, str) and name.strip():
            self.name = " ".join(name.split())
        else:
            raise ArgumentTypeError(f"`name` of a method must be a text (got {name!r}).")

    @classmethod
    def parse(cls, value: object) -> Method:
        """Return a Method unchanged, or make one from its text."""
        return value if isinstance(value, Method) else cls(value)  # type: ignore[arg-type]

    @property
    def shares(self) -> list[float]:
        """Shares of the stages in the budget."""
        return [(stage.share or 1.0) * stage.portion for stage in self.stages]

    @property
    def epochs(self) -> int | None:
        """Sum of the shares as a number of epochs; None without shares."""
        known = all(stage.share is not None for stage in self.stages)
        return round(sum(self.shares)) if known else None

    @property
    def is_chain(self) -> bool:
        """Whether the text has several stages."""
        return sum(not stage.continues for stage in self.stages) > 1

    @property
    def has_executors(self) -> bool:
        """Whether the method has executors of its own."""
        return any(stage.executor is not None for stage in self.stages)

    @property
    def uses_bridge(self) -> bool:
        """Whether any stage has a bridge."""
        return any(stage.bridge is not None for stage in self.stages)

    def on(self, name: str, network: NetworkSource, *, alone: bool) -> Method:
        """Return a copy for a named network; a method that is ``alone`` has the network's name."""
        changed = copy.copy(self)
        changed.network = network
        changed.name = name if alone else f"{name}: {self.name}"
        return changed

    def with_batch_size(self, size: int | None) -> Method:
        """Return a copy with this batch size in stages with minibatches of the default size."""
        changed = copy.copy(self)
        free = [stage.batch_size == "auto" and stage.step_samples for stage in self.stages]
        changed.stages = tuple(
            replace(stage, batch_size=size) if is_free else stage
            for stage, is_free in zip(self.stages, free, strict=True)
        )
        return changed

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the stages in plain types, without the name of the method."""
        return [stage.to_dict() for stage in self.stages]

    def __repr__(self) -> str:
        return f"Method({self.name!r})"


def _stage(text: str, piece: str, given: Stage, bridge_options: Mapping[str, Any]) -> Stage:
    body, share = _share(text, piece)
    bridge_term, (optimizer, own) = _roles(text, [_term(text, part) for part in _split(body, "+")])
    if given.bridge is not None and bridge_term is not None:
        raise ArgumentError(f"`bridge` must be None, because method {text!r} names a bridge.")
    options = {**given.options, **own}
    rate = options.pop("lr", given.lr)
    known = [p for p in inspect.signature(OPTIMIZERS[optimizer].build).parameters if p != "params"]
    _validation.keywords(f"Optimizer {optimizer!r}", options, known)
    bridge, seeded = given.bridge, given.bridge is not None
    if bridge_term is not None:
        name, extra = bridge_term
        chosen = {**bridge_options, **extra}
        bridge = create_bridge(name, chosen)
        seeded = "seed" in chosen or isinstance(chosen.get("of"), Bridge)
    return replace(
        given,
        optimizer=optimizer,
        bridge=bridge,
        share=share,
        lr=_validation.optional_real("lr", rate, minimum=0, strict=True),
        options=options,
        seeded=seeded,
    )


def _with_executors(text: str, stages: tuple[Stage, ...], executor: Any) -> tuple[Stage, ...]:
    """Return the stages with their executors; a schedule divides the only stage."""
    if not isinstance(executor, list | tuple):
        check_source("executor", executor)
        return tuple(replace(stage, executor=executor) for stage in stages)
    form = "a list of pairs (executor, share), such as [(ideal, 3), (noisy, 1)]"
    if not executor or not all(isinstance(one, list | tuple) and len(one) == 2 for one in executor):
        raise ArgumentTypeError(f"`executor` must be an executor or {form} (got {executor!r}).")
    if len(stages) > 1:
        raise ArgumentError(
            f"`executor` must not be a schedule for a chain of stages (got {text!r}). Write a "
            "method of one stage, in which only the executor changes."
        )
    for source, _ in executor:
        check_source("executor", source, optional=False)
    shares = [_validation.real("executor", one, minimum=0, strict=True) for _, one in executor]
    return tuple(
        replace(stages[0], executor=source, portion=share / sum(shares), continues=number > 0)
        for number, ((source, _), share) in enumerate(zip(executor, shares, strict=True))
    )


def _rates(text: str, lr: object, stages: int) -> list[Any]:
    rates = list(lr) if isinstance(lr, list | tuple) else [lr] * stages
    if len(rates) != stages:
        raise ArgumentError(
            f"`lr` must have {stages} items, one per stage of method {text!r} (got {len(rates)})."
        )
    return rates


def _share(text: str, piece: str) -> tuple[str, float | None]:
    body, *numbers = _split(piece, ":")
    with suppress(ValueError):
        if not numbers:
            return body, None
        (share,) = map(float, numbers)
        if 0 < share < float("inf"):
            return body, share
    raise ArgumentError(
        f"The share in {piece!r} of method {text!r} must be one positive number, as in `adam:3`."
    )


def _term(text: str, piece: str) -> Term:
    match = _TERM.fullmatch(piece)
    if match is None:
        raise ArgumentError(
            f"Method {text!r} has an invalid name {piece.strip()!r}. Examples: {EXAMPLES}."
        )
    options: dict[str, Any] = {}
    for item in filter(str.strip, _split(match[2] or "", ",")):
        key, separator, value = map(str.strip, item.partition("="))
        if not separator or not key.isidentifier():
            raise ArgumentError(
                f"Option {item.strip()!r} of method {text!r} must have the form `name=value`."
            )
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return match[1], options


def _split(text: str, mark: str) -> list[str]:
    """Split a text at a mark outside of brackets."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == mark and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def _roles(text: str, terms: list[Term]) -> tuple[Term | None, Term]:
    """Return the terms of bridge and optimizer."""
    if len(terms) > 2:
        raise ArgumentError(f"Stages of method {text!r} must have the form `bridge+optimizer`.")
    first, *rest = terms
    if not rest:
        _validation.choice("optimizer or bridge", first[0], [*OPTIMIZERS, *BRIDGES])
        return (None, first) if first[0] in OPTIMIZERS else (first, (DEFAULT_OPTIMIZER, {}))
    if first[0] in OPTIMIZERS and rest[0][0] in BRIDGES:
        raise ArgumentError(
            f"The bridge must come first in method {text!r}. Write `{rest[0][0]}+{first[0]}`."
        )
    _validation.choice("bridge", first[0], BRIDGES)
    _validation.choice("optimizer", rest[0][0], OPTIMIZERS)
    return first, rest[0]


def _canonical(pieces: list[str]) -> str:
    """Return the text with normalized spaces and the default optimizers."""
    words = []
    for piece in pieces:
        body, *share = _split(piece, ":")
        terms = ["".join(term.split()) for term in _split(body, "+")]
        if len(terms) == 1 and terms[0].partition("(")[0] in BRIDGES:
            terms.append(DEFAULT_OPTIMIZER)
        words.append(":".join(["+".join(terms), *(number.strip() for number in share)]))
    return " > ".join(words)


def _plain(value: Any) -> Any:
    """Convert to plain types: bridges to mappings, NumPy numbers to Python's, others to text."""
    if isinstance(value, Bridge):
        assert is_dataclass(value)
        options = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {"name": value.name, **options}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
