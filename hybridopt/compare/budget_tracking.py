"""What training steps spend: training ends exactly where its budget does, or is refused before."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.utils.data import IterableDataset

from hybridopt.bridges import QuantumNetwork
from hybridopt.compare.budget import Budget
from hybridopt.data import Part
from hybridopt.errors import ArgumentError
from hybridopt.execution import Cost, Executor, Metered
from hybridopt.nn import CircuitLayer
from hybridopt.nn.shape_inference import on_meta
from hybridopt.optim import Newton
from hybridopt.training.batches import Batch, TensorBatches

COUNTED = ("settings", "shots")


class MeteredBatches(IterableDataset[Batch]):
    """The batches of one epoch after the other; none comes once the stage's budget is spent.

    The training loop asks for a batch when the step before is whole, so that is where steps are
    counted: no step is cut, and none begins that the budget does not allow. A step is expected to
    cost what is foretold, or what the largest step so far did. A batch that is only looked at, to
    try its shape, is drawn again.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int | None,
        seed: int,
        budget: Budget,
        executors: Sequence[Metered] = (),
        foretold: Cost | None = None,
    ) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._batches = TensorBatches(part, batch_size, self._generator)
        self._limits, self._executors = budget.limits(), executors
        self._largest = foretold or Cost()
        self._unused: Tensor | None = None  # state before an order that no step has used
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
        """Count an epoch, whole or cut short, by the time `fit` took; True if it was the last."""
        self.epochs, self.seconds, self._started = self.epochs + 1, self.seconds + seconds, None
        return self.exceeded()

    def exceeded(self) -> bool:
        """Whether another step would be too much: but for time, it must fit in whole."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        limits, after = self._limits, self.cost + self._largest
        return (
            self.epochs >= limits.get("epochs", math.inf)
            or self.seconds + running >= limits.get("seconds", math.inf)
            or any(getattr(after, unit) > limits.get(unit, math.inf) for unit in COUNTED)
        )

    def _usage(self) -> Cost:
        return sum((executor.usage for executor in self._executors), Cost())


def check_budget(network: nn.Module, optimizer: Optimizer, budget: Budget, x: Tensor) -> None:
    """Refuse a budget that is never used up, is less than a step on ``x``, or cannot be kept."""
    if not budget.counts_circuits:
        return
    limits, step = budget.limits(), step_cost(network, x)
    for unit in [unit for unit in COUNTED if unit in limits]:
        needed = getattr(step, unit)
        if needed and isinstance(optimizer, Newton | LBFGS):
            raise ArgumentError(
                f"{type(optimizer).__name__} evaluates circuits as often as it needs within a "
                f"step, so a budget of {unit} cannot be kept. Give epochs or seconds instead, or "
                "take an optimizer with one gradient a step, such as adam."
            )
        if needed > limits[unit]:
            raise ArgumentError(
                f"one step takes {needed:,} {unit}, but the budget is {limits[unit]:,.0f}. "
                "Raise it."
            )
        if not needed and not limits.keys() & {"epochs", "seconds"}:
            reason = (
                "simulates exactly, so it takes no shots: give an executor with shots"
                if step.settings
                else f"runs no circuit, so it would spend no {unit} for ever"
            )
            raise ArgumentError(
                f"it {reason}. Give a second limit, as "
                f'"{limits[unit]:.0f} {unit}, 10 epochs"; the first to be met stops.'
            )


def step_cost(network: nn.Module, x: Tensor) -> Cost:
    """Settings and shots of a training step on samples; nothing is run.

    The network is traced on torch's meta device, which tells how many vectors reach each layer. A
    network that cannot be traced, and bridges before their first pass, are taken to send one for
    each sample; layers that do not know their cost count as one setting.
    """
    total = sum(_costs_of_layers(network, x), Cost())
    known: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, QuantumNetwork):
            total = total + module.step_cost(len(x))
            known |= set(module.modules())
    for module in network.modules():
        executor = getattr(module, "executor", None)
        counted = isinstance(module, CircuitLayer) or module in known
        if isinstance(executor, Executor) and not counted:
            total = total + Cost(1, executor.shots or 0, 1)
    return total


def _costs_of_layers(network: nn.Module, x: Tensor) -> list[Cost]:
    """Of the circuit layers, call by call, where the network can be traced."""
    layers = [module for module in network.modules() if isinstance(module, CircuitLayer)]
    calls: list[Cost] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, CircuitLayer)
        (given,) = inputs
        count = given[..., 0].numel() if given.shape[-1] else len(x)
        calls.append(layer.step_cost(count, input_gradient=given.requires_grad))

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            on_meta(network, x)
    except Exception:  # noqa: BLE001  # not every operation has a meta form
        return [layer.step_cost(len(x)) for layer in layers]
    finally:
        for hook in hooks:
            hook.remove()
    return calls
