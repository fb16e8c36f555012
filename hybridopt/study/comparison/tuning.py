"""The same search for a learning rate for every method, on a validation part of the training part.

The test part is never shown to anything in this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridopt import checks
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.study.comparison.records import Trial

DEFAULT_TRIALS = 3


@dataclass(frozen=True)
class Tuning:
    """How hard every method is tuned.

    Each trial trains with the whole budget on the training part without its validation part, with
    the base learning rates of all stages times one factor. The factors are 1, then half a decade
    down and up, and so on. The factor with the best validation metric is taken (of equals the one
    with the lower validation loss, then the one nearer to 1) and the method is trained again on
    the whole training part.

    Attributes:
        trials: Trials for every method and seed; 1 takes the base learning rates untried.
        share: Share of the training part that is kept for validation.
        step: Ratio of neighbouring factors.

    Example:
        >>> [round(factor, 3) for factor in Tuning(5).factors()]
        [1.0, 0.316, 3.162, 0.1, 10.0]
    """

    trials: int = DEFAULT_TRIALS
    share: float = 0.2
    step: float = math.sqrt(10)

    def __post_init__(self) -> None:
        checks.integer("trials", self.trials, minimum=1)
        checks.real("share", self.share, minimum=0, strict=True)
        checks.real("step", self.step, minimum=1, strict=True)
        if self.share >= 1:
            raise ArgumentError(f"Argument `share` must be less than 1, but is {self.share:g}.")

    @classmethod
    def of(cls, value: object) -> Tuning:
        """A Tuning, or one from a number of trials; None and 0 are no tuning.

        Raises:
            ArgumentTypeError: If it is something else.
        """
        if isinstance(value, Tuning):
            return value
        if value is None or (value == 0 and not isinstance(value, bool)):
            return cls(trials=1)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(
                "Argument `tuning` must be a number of trials, a Tuning or None, but is "
                f"{value!r} of type {type(value).__name__}."
            )
        return cls(trials=checks.integer("tuning", value, minimum=0))

    def factors(self) -> list[float]:
        """Of the base learning rates, in the order in which they are tried."""
        return [float(self.step ** ((k + 1) // 2 * (-1) ** k)) for k in range(self.trials)]


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial that is taken; None if all failed."""
    finished = [trial for trial in trials if trial.metric is not None]
    if not finished:
        return None
    return min(finished, key=_rank)


def _rank(trial: Trial) -> tuple[float, float, float, float]:
    assert trial.metric is not None
    assert trial.loss is not None
    return -trial.metric, trial.loss, abs(math.log(trial.factor)), trial.factor
