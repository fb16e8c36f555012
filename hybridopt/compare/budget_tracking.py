"""Batches that know what a method may still spend: training ends exactly where its budget does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, IterableDataset

from hybridopt.compare.budget import Budget
from hybridopt.data import Part
from hybridopt.execution import Cost, Metered
from hybridopt.training.batches import Batch, TensorBatches


class Meter:
    """What one stage has spent of its budget.

    Args:
        limits: The stage's part of the budget.
        executors: What counts settings and shots.
        foretold: What a step costs; None is nothing.
    """

    def __init__(
        self, limits: Budget, executors: Sequence[Metered], foretold: Cost | None = None
    ) -> None:
        self._limits = limits
        self._executors = executors
        # or the largest step so far: no other is known to be cheaper
        self._largest = foretold or Cost()
        self._mark = Cost()
        self._started = 0.0
        self.steps = 0
        self.epochs = 0
        self.seconds = 0.0
        self.cost = Cost()

    @property
    def epochs_allowed(self) -> int | None:
        """Of the budget; None where it does not bound them."""
        return self._limits.epochs

    def begin_epoch(self) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def begin_step(self) -> None:
        """Note what the executors have counted before a step."""
        self._mark = self._usage()

    def end_step(self) -> None:
        """Count a whole step."""
        step = self._usage() - self._mark
        self.steps += 1
        self.cost = self.cost + step
        self._largest = Cost(
            max(self._largest.settings, step.settings), max(self._largest.shots, step.shots)
        )

    def end_epoch(self, seconds: float) -> None:
        """Count an epoch, whole or cut short, by the time that `fit` took for it."""
        self.epochs += 1
        self.seconds += seconds
        self._started = 0.0

    def exceeded(self) -> bool:
        """Whether another step would be too much: but for time, it must fit in whole."""
        running = time.perf_counter() - self._started if self._started else 0.0
        limits, cost, step = self._limits, self.cost, self._largest
        return (
            (limits.epochs is not None and self.epochs >= limits.epochs)
            or (limits.seconds is not None and self.seconds + running >= limits.seconds)
            or (limits.settings is not None and cost.settings + step.settings > limits.settings)
            or (limits.shots is not None and cost.shots + step.shots > limits.shots)
        )

    def _usage(self) -> Cost:
        return sum((executor.usage for executor in self._executors), Cost())


class MeteredBatches(IterableDataset[Batch]):
    """The batches of one epoch after the other; none comes once the budget is spent.

    The training loop asks for a batch when the step before is whole, so that is where steps are
    counted: no step is cut, and none begins that the budget does not allow. A batch that is only
    looked at, to try its shape, is drawn again.
    """

    def __init__(self, part: Part, batch_size: int | None, seed: int, meter: Meter) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._batches = TensorBatches(part, batch_size, generator)
        self._meter = meter
        self._generator = generator
        self._unused: torch.Tensor | None = None  # state before an order that no step has used

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
