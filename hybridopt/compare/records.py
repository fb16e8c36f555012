"""What is kept of a run, in plain types."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Point:
    """A method's state after an epoch, or where its budget ended; sums over all stages so far.

    Attributes:
        stage: Number of the stage, from 0.
        epochs: Epochs so far; a last one may be cut short by the budget.
        steps: Optimizer steps.
        seconds: Wall time of the training steps.
        settings: Settings of training.
        shots: Shots of training.
        train_loss: Mean training loss of the epoch; None before the first.
        test_loss: On the test part.
        test_metric: On the test part.
    """

    stage: int
    epochs: int
    steps: int
    seconds: float
    settings: int
    shots: int
    train_loss: float | None
    test_loss: float | None
    test_metric: float


@dataclass(frozen=True)
class Trial:
    """One trial of a learning rate.

    Attributes:
        factor: Of the base learning rates.
        metric: On the validation part; None if training failed.
        loss: On the validation part.
        seconds: Of its training.
        settings: Of its training.
        shots: Of its training.
        error: Why it failed.
    """

    factor: float
    metric: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    settings: int = 0
    shots: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Attributes:
        method: Name of the method.
        seed: Of split, starting weights and order.
        status: ``"done"`` or ``"failed"``.
        error: Why it failed.
        test_metric: Accuracy or R^2 on the test part at the end.
        test_loss: Loss on the test part at the end.
        training_seconds: Wall time of the training steps, without evaluation and tuning.
        inference_seconds: Wall time for the test part, by a copy that has read no weight yet.
        steps: Optimizer steps.
        settings: Settings of training.
        shots: Shots of training.
        simulator_runs: Circuits that the simulator executed in training.
        trainable: Trainable numbers, of the stage with the most.
        num_test: Samples of the test part.
        factor: Chosen by tuning.
        rates: Learning rate of each stage.
        trials: Of tuning.
        curve: From the start to the end.
    """

    method: str
    seed: int
    status: Literal["done", "failed"] = "done"
    error: str | None = None
    test_metric: float = float("nan")
    test_loss: float | None = None
    training_seconds: float = float("nan")
    inference_seconds: float = float("nan")
    steps: int = 0
    settings: int = 0
    shots: int = 0
    simulator_runs: int = 0
    trainable: int = 0
    num_test: int = 0
    factor: float = 1.0
    rates: tuple[float, ...] = ()
    trials: tuple[Trial, ...] = ()
    curve: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.status == "done"

    def first_reaching(self, target: float) -> Point | None:
        """The first point whose test metric is at least the target; None if there is none."""
        return next((point for point in self.curve if point.test_metric >= target), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for JSON; what is not known is None."""
        content = asdict(self)
        return {key: None if _is_nan(value) else value for key, value in content.items()}


def failed(method: str, seed: int, error: str, trials: tuple[Trial, ...] = ()) -> Run:
    """A run that did not come to its end."""
    return Run(method, seed, "failed", error, trials=trials)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
