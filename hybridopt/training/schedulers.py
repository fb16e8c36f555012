"""Learning-rate schedules, by name or as schedulers of torch."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError

STEPPED_BY_BATCH = (OneCycleLR, CyclicLR)  # torch documents these as stepped after every batch
MOVING = (  # entries of the state that change during training
    *("last_epoch", "best", "num_bad_epochs", "cooldown_counter", "_step_count", "_last_lr"),
    *("_get_lr_called_within_step", "_is_initial"),
)
SCHEDULERS = ("cosine", "exponential", "linear", "one-cycle", "plateau", "step")


class Schedule:
    r"""Scheduler of torch that is stepped at the right time.

    Let ``lr`` be the learning rate of `fit` and ``E`` the number of epochs. A schedule by name has
    the following rates in epoch ``e = 0, 1, ...``:

    =========== ==========================================================================
    cosine      ``lr (1 + cos(pi e / E)) / 2``
    exponential ``lr 0.9^e``
    linear      linear from ``lr`` in the first epoch to ``lr / 100`` in the last
    one-cycle   per batch: from ``lr / 25`` up to ``lr`` after 30 % of the batches
                and down to ``lr / 250,000`` (Smith, arXiv:1708.07120)
    plateau     a tenth if the training loss has not fallen for more than two epochs
    step        a tenth after every third of the epochs
    =========== ==========================================================================
    """

    def __init__(self, scheduler: LRScheduler) -> None:
        self.scheduler = scheduler
        self.by_batch = isinstance(scheduler, STEPPED_BY_BATCH)

    def after_step(self) -> None:
        """Step a scheduler that changes after every batch."""
        if self.by_batch:
            self.scheduler.step()

    def after_epoch(self, train_loss: float) -> None:
        """Step a scheduler that changes after every epoch; ``plateau`` uses the training loss."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(train_loss)
        elif not self.by_batch:
            self.scheduler.step()

    def describe(self) -> str:
        """Return class and settings as a text for comparison."""
        listed = ", ".join(
            f"{key}={value!r}"
            for key, value in sorted(self.scheduler.state_dict().items())
            if key not in MOVING and isinstance(value, bool | int | float | str | list | tuple)
        )
        return f"{type(self.scheduler).__name__}({listed})"

    def check_storable(self) -> None:
        """Raise an error if the state cannot be loaded from a checkpoint."""
        buffer = io.BytesIO()
        try:
            torch.save(self.scheduler.state_dict(), buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except Exception as error:
            raise ArgumentError(
                f"The state of {type(self.scheduler).__name__} must have plain types for a "
                "checkpoint. Leave `checkpoint` out, or use another scheduler."
            ) from error


def create_schedule(
    scheduler: object, optimizer: Optimizer, *, epochs: int, steps: int
) -> Schedule | None:
    """Create the schedule of a run; ``steps`` is the number of batches per epoch or 0."""
    made: Any = scheduler
    if isinstance(scheduler, str):
        _validation.choice("scheduler", scheduler, SCHEDULERS)
        made = _by_name(scheduler, optimizer, max(1, epochs), steps)
    elif callable(scheduler):
        try:
            made = scheduler(optimizer)
        except Exception as error:
            raise ArgumentError(
                "`scheduler` must be a function of the optimizer alone (got "
                f"{getattr(scheduler, '__name__', scheduler)!r}: {type(error).__name__}: {error}). "
                "Pass scheduler=lambda optimizer: ..., with its options."
            ) from error
    elif scheduler is None:
        return None
    if not isinstance(made, LRScheduler):
        raise ArgumentTypeError(
            "`scheduler` must be a name, a torch LRScheduler, or a function of the optimizer that "
            f"returns one (got {made!r}). Names: {', '.join(SCHEDULERS)}."
        )
    if getattr(made, "optimizer", None) is not optimizer:
        raise ArgumentError(
            f"The {type(made).__name__} in `scheduler` must belong to this optimizer. Pass its "
            "optimizer as `optimizer=`, or a function: scheduler=lambda optimizer: ..."
        )
    return Schedule(made)


def _by_name(name: str, optimizer: Optimizer, epochs: int, steps: int) -> LRScheduler:
    kinds: dict[str, Callable[[], LRScheduler]] = {
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=epochs),
        "exponential": lambda: ExponentialLR(optimizer, gamma=0.9),
        "linear": lambda: LinearLR(optimizer, 1.0, 0.01, total_iters=max(1, epochs - 1)),
        "plateau": lambda: ReduceLROnPlateau(optimizer, factor=0.1, patience=2),
        "step": lambda: StepLR(optimizer, step_size=-(-epochs // 3), gamma=0.1),
    }
    if name in kinds:
        return kinds[name]()
    if not steps:
        raise ArgumentError(
            'scheduler="one-cycle" must have a DataLoader with a length (got none). Use '
            'scheduler="cosine".'
        )
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    # momenta are unchanged: only SGD and Adam have them
    return OneCycleLR(optimizer, peaks, total_steps=epochs * steps, cycle_momentum=False)
