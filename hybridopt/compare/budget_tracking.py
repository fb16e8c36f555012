"""What training steps spend: training ends exactly where its budget does, or is refused before."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.utils.data import DataLoader, IterableDataset

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


class BudgetMeter:
    """What one stage has spent of its part of the budget, as the executors count it.

    A step is expected to cost what is foretold, or what the largest step so far did.
    """

    def __init__(self, limits: Budget, executors: Sequence[Metered], foretold: Cost) -> None:
        self.limits = limits
        self._executors = executors
        self._largest = foretold
        self._before = Cost()
        self._started: float | None = None
        self.steps = 0
        self.epochs = 0
        self.seconds = 0.0
        self.cost = Cost()

    def begin_epoch(self) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def begin_step(self) -> None:
        """Note what the executors have counted before a step."""
        self._before = self._usage()

    def end_step(self) -> None:
        """Count a whole step."""
        step = self._usage() - self._before
        self.steps += 1
        self.cost = self.cost + step
        self._largest = Cost(
            max(self._largest.settings, step.settings), max(self._largest.shots, step.shots)
        )

    def end_epoch(self, seconds: float) -> None:
        """Count an epoch, whole or cut short, by the time that `fit` took for it."""
        self.epochs += 1
        self.seconds += seconds
        self._started = None

    def exceeded(self) -> bool:
        """Whether another step would be too much: but for time, it must fit in whole."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        limits, after = self.limits.limits(), self.cost + self._largest
        return (
            self.epochs >= limits.get("epochs", math.inf)
            or self.seconds + running >= limits.get("seconds", math.inf)
            or any(getattr(after, unit) > limits.get(unit, math.inf) for unit in COUNTED)
        )

    def _usage(self) -> Cost:
        return sum((executor.usage for executor in self._executors), Cost())


class MeteredBatches(IterableDataset[Batch]):
    """The batches of one epoch after the other; none comes once the budget is spent.

    The training loop asks for a batch when the step before is whole, so that is where steps are
    counted: no step is cut, and none begins that the budget does not allow. A batch that is only
    looked at, to try its shape, is drawn again.
    """

    def __init__(self, part: Part, batch_size: int | None, seed: int, meter: BudgetMeter) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._batches = TensorBatches(part, batch_size, self._generator)
        self._meter = meter
        self._unused: Tensor | None = None  # state before an order that no step has used

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        if self._unused is not None:
            self._generator.set_state(self._unused)
        self._unused = self._generator.get_state()
        self._meter.begin_epoch()
        for batch in self._batches:
            self._meter.begin_step()
            yield batch
            self._meter.end_step()
            self._unused = None
            if self._meter.exceeded():
                return

    def loader(self) -> DataLoader[Batch]:
        """As `fit` takes it."""
        return DataLoader(self, batch_size=None)


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
