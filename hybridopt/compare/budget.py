"""Budgets in epochs, seconds, settings or shots, and batches that end with the budget."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.utils.data import IterableDataset

from hybridopt import _validation
from hybridopt._inputs import Inputs, num_samples
from hybridopt._modules import run_on_meta
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.data import Part
from hybridopt.data.dataset import Batch
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import Cost, Executor, Metered
from hybridopt.nn import CircuitLayer
from hybridopt.optim import Newton
from hybridopt.training.batches import TensorBatches

UNITS = ("epochs", "seconds", "settings", "shots")
COUNTED = ("settings", "shots")
_AMOUNT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]*)?(?:e\+?[0-9]+)?)\s*([A-Za-z]+)\s*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")  # commas within a number
DEFAULT_EPOCHS = 5


@dataclass(frozen=True)
class Budget:
    """Limits per method of a comparison; the first limit that is reached ends the training.

    Seconds are the wall time of the training steps, without evaluation; training stops after the
    first step that exceeds them. Settings and shots are those of training; training stops before a
    step that would exceed them. lbfgs and newton evaluate a circuit an unknown number of times per
    step, so `compare` rejects such budgets for them.

    Attributes:
        epochs: Number of passes through the training part, at least 1.
        seconds: Training time in seconds, greater than 0.
        settings: Number of settings, at least 1.
        shots: Number of shots, at least 1.

    Example:
        >>> from hybridopt import Budget
        >>> Budget.parse("10 epochs, 5_000 settings")
        Budget(epochs=10, seconds=None, settings=5000, shots=None)
    """

    epochs: int | None = None
    seconds: float | None = None
    settings: int | None = None
    shots: int | None = None

    def __post_init__(self) -> None:
        for unit in ("epochs", "settings", "shots"):
            number = _validation.optional_integer(unit, getattr(self, unit), minimum=1)
            object.__setattr__(self, unit, number)
        seconds = _validation.optional_real("seconds", self.seconds, minimum=0, strict=True)
        object.__setattr__(self, "seconds", seconds)
        if not self.limits():
            raise ArgumentError('`budget` must have a limit. Pass for example "10 epochs".')

    @classmethod
    def parse(cls, value: object) -> Budget:
        """Make a budget from a number, text or mapping.

        Args:
            value: A Budget; a number of epochs; a text such as ``"10 epochs"`` or
                ``"30 seconds, 2000 settings"``; or a mapping such as ``{"shots": 100_000}``.

        Raises:
            ArgumentTypeError: If the value has another type.
            ArgumentError: If the text is invalid or a number is out of range.
            UnknownNameError: If a unit is unknown.
        """
        if isinstance(value, Budget):
            return value
        if isinstance(value, str):
            value = _read(value)
        if isinstance(value, Mapping):
            for unit in value:
                _validation.choice("unit of a budget", unit, UNITS)
            return cls(**value)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ArgumentTypeError(
                f'`budget` must be a number of epochs, a text such as "10 epochs", a mapping or a '
                f"Budget (got {value!r} of type {type(value).__name__})."
            )
        return cls(epochs=_validation.integer("budget", value, minimum=1))

    def limits(self) -> dict[str, float]:
        """Return the limits by unit, without those that are None."""
        return {unit: value for unit, value in asdict(self).items() if value is not None}

    @property
    def counts_circuits(self) -> bool:
        """Whether settings or shots are limited."""
        return bool(self.limits().keys() & set(COUNTED))

    def parts(
        self, shares: Sequence[float], spending: Mapping[str, Sequence[bool]] | None = None
    ) -> list[Budget]:
        """Split the budget among the stages of a chain in proportion to their shares.

        Integers are rounded by largest remainders. ``spending`` marks the stages that share a unit.

        Raises:
            ArgumentError: If a stage gets less than 1 epoch, setting or shot.
        """
        if len(shares) == 1:
            return [self]
        cut: list[dict[str, float]] = [{} for _ in shares]
        for unit, value in self.limits().items():
            stages = [k for k, spent in enumerate((spending or {}).get(unit, shares)) if spent]
            total = sum(shares[stage] for stage in stages)
            exact = [value * shares[stage] / total for stage in stages]
            parts = exact if unit == "seconds" or not exact else _whole(unit, int(value), exact)
            for stage, part in zip(stages, parts, strict=True):
                cut[stage][unit] = part
        return [Budget(**part) if part else self for part in cut]  # type: ignore[arg-type]

    def __str__(self) -> str:
        words = []
        for unit, value in self.limits().items():
            number = f"{value:,}" if isinstance(value, int) else f"{value:g}"
            words.append(f"{number} {unit.removesuffix('s') if value == 1 else unit}")
        return ", ".join(words)


def _read(text: str) -> dict[str, float]:
    limits: dict[str, float] = {}
    for piece in _THOUSANDS.sub("", text).split(","):
        match = _AMOUNT.fullmatch(piece)
        if match is None:
            raise ArgumentError(
                f'`budget` must be a text such as "10 epochs" or "30 s, 1e6 shots" (got {text!r}).'
            )
        word = match[2].lower()
        unit = "seconds" if word == "s" else word if word in UNITS else f"{word}s"
        if unit not in UNITS:
            _validation.choice("unit of a budget", word, UNITS)
        if unit in limits:
            raise ArgumentError(f"`budget` must have {unit} only once (got {text!r}).")
        amount = float(match[1].replace("_", ""))
        if unit != "seconds" and not amount.is_integer():
            raise ArgumentError(f"`budget` must have a whole number of {unit} (got {text!r}).")
        limits[unit] = amount if unit == "seconds" else int(amount)
    return limits


def _whole(unit: str, total: int, exact: list[float]) -> list[float]:
    if total < len(exact):
        raise ArgumentError(
            f"`budget` must have at least {len(exact)} {unit}, one per stage (got {total})."
        )
    cut = [max(1, math.floor(value)) for value in exact]
    while sum(cut) > total:  # the largest parts pay for parts that were raised to 1
        cut[max(range(len(cut)), key=lambda k: cut[k] - exact[k] if cut[k] > 1 else -math.inf)] -= 1
    while sum(cut) < total:
        cut[max(range(len(cut)), key=lambda k: exact[k] - cut[k])] += 1
    return [*cut]


class MeteredBatches(IterableDataset[Batch]):
    """Batches of consecutive epochs; iteration ends when the budget of the stage is spent."""

    def __init__(
        self, part: Part, batch_size: int | None, order: torch.Generator, budget: Budget,
        executors: Sequence[Metered] = (), expected: Cost | None = None,
    ) -> None:  # fmt: skip
        self._generator = order
        self._batches = TensorBatches(part, batch_size, self._generator)
        self._limits, self._executors = budget.limits(), executors
        self._largest = expected or Cost()
        self._unused: Tensor | None = None  # random state before an order without a step
        self._started: float | None = None
        self.steps, self.epochs, self.seconds, self.cost = 0, 0, 0.0, Cost()

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        if self._unused is not None:
            self._generator.set_state(self._unused)
        self._unused = self._generator.get_state()
        self._started = time.perf_counter()
        for batch in self._batches:
            before = self._usage()
            yield batch
            step = self._usage() - before
            self.steps, self.cost, self._unused = self.steps + 1, self.cost + step, None
            settings = max(self._largest.settings, step.settings)
            self._largest = Cost(settings, max(self._largest.shots, step.shots))
            if self.exceeded():
                return

    def end_epoch(self, seconds: float) -> bool:
        """Count a whole or partial epoch with its time; return True if it is the last."""
        self.epochs, self.seconds, self._started = self.epochs + 1, self.seconds + seconds, None
        return self.exceeded()

    def exceeded(self) -> bool:
        """Return whether a step like the largest so far would exceed the budget."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        limits, after = self._limits, self.cost + self._largest
        return (
            self.epochs >= limits.get("epochs", math.inf)
            or self.seconds + running >= limits.get("seconds", math.inf)
            or any(getattr(after, unit) > limits.get(unit, math.inf) for unit in COUNTED)
        )

    def _usage(self) -> Cost:
        return sum((executor.usage for executor in self._executors), Cost())


def check_budget(network: nn.Module, optimizer: Optimizer, budget: Budget, x: Inputs) -> None:
    """Reject a budget that is never used up, too small for a step on ``x``, or unpredictable."""
    if not budget.counts_circuits:
        return
    limits, step = budget.limits(), step_cost(network, x)
    for unit in [unit for unit in COUNTED if unit in limits]:
        needed = getattr(step, unit)
        if needed and isinstance(optimizer, Newton | LBFGS):
            raise ArgumentError(
                f"`budget` of {unit} is not supported for {type(optimizer).__name__}, which runs "
                "circuits an unknown number of times per step. Use another optimizer, such as adam."
            )
        if needed > limits[unit]:
            raise ArgumentError(
                f"`budget` must have at least {needed:,} {unit}, the cost of one step "
                f"(got {limits[unit]:,.0f})."
            )
        if not needed and not limits.keys() & {"epochs", "seconds"}:
            raise ArgumentError(
                f"`budget` of {limits[unit]:.0f} {unit} is never used up: no step uses {unit}. "
                "Pass an `executor` with shots, or add a limit of epochs or seconds."
            )


def step_cost(network: nn.Module, x: Inputs) -> Cost:
    """Return settings and shots of a step; a layer or bridge of unknown cost counts as one."""
    networks = [module for module in network.modules() if isinstance(module, QuantumNetwork)]
    inside = {part for one in networks for part in one.modules()}  # included in their costs
    others = [module for module in network.modules() if module not in inside]
    layers = [module for module in others if isinstance(module, CircuitLayer)]
    costs = [one.step_cost(num_samples(x)) or Cost(1, 1, 1) for one in networks]
    executors = [getattr(m, "executor", None) for m in others if not isinstance(m, CircuitLayer)]
    costs += [Cost(1, one.shots or 0, 1) for one in executors if isinstance(one, Executor)]
    return sum(_costs_of_layers(network, layers, x), sum(costs, Cost()))


def _costs_of_layers(network: nn.Module, layers: Sequence[CircuitLayer], x: Inputs) -> list[Cost]:
    """Return one cost per call if the network runs on the meta device, otherwise one per layer."""
    calls: list[Cost] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, CircuitLayer)
        (given,) = inputs
        count = given[..., 0].numel() if given.shape[-1] else num_samples(x)
        calls.append(layer.step_cost(count, input_gradient=given.requires_grad))

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.enable_grad(), isolated(0):
            run_on_meta(network, x)
    except Exception:  # noqa: BLE001  # some operations do not support the meta device
        return [layer.step_cost(num_samples(x)) for layer in layers]
    finally:
        for hook in hooks:
            hook.remove()
    return calls
