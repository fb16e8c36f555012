"""Search for a learning rate, the same for all methods, without the test part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridopt import _validation
from hybridopt.compare.results import Trial

DEFAULT_TRIALS = 3


@dataclass(frozen=True)
class Tuning:
    """Tuning of the learning rates of a method.

    Each trial trains with the whole budget on the training part without its validation part. The
    base learning rates of all stages are multiplied by one factor, in the first trial by 1. If the
    best factor is the largest or smallest so far, the next one is beyond it. Otherwise it is
    between the best factor and a neighbour. The factor with the best validation metric then trains
    on the whole training part. Lower loss, then distance of the factor from 1, decide ties.

    Attributes:
        trials: Number of trials per method and seed; 1 uses the base learning rates.
        validation_fraction: Fraction of the training part for validation.
        step: Ratio of neighbouring factors, greater than 1.

    Example:
        >>> from hybridopt import Tuning
        >>> Tuning(5)
        Tuning(trials=5, validation_fraction=0.2, step=3.16...)
    """

    trials: int = DEFAULT_TRIALS
    validation_fraction: float = 0.2
    step: float = math.sqrt(10)

    def __post_init__(self) -> None:
        trials = _validation.integer("trials", self.trials, minimum=1)
        name, fraction = "validation_fraction", self.validation_fraction
        fraction = _validation.real(name, fraction, minimum=0, below=1, strict=True)
        step = _validation.real("step", self.step, minimum=1, strict=True)
        vars(self).update(trials=trials, validation_fraction=fraction, step=step)  # Python types

    @classmethod
    def parse(cls, value: object) -> Tuning:
        """Return a Tuning unchanged, or make one from a number of trials; None and 0 do not tune.

        Raises:
            ArgumentTypeError: If the value has another type.
        """
        if isinstance(value, Tuning):
            return value
        return cls(trials=max(1, _validation.optional_integer("tuning", value, minimum=0) or 1))

    def next_factor(self, trials: Sequence[Trial]) -> float:
        """Return the next factor after these trials; failed trials are worse than all others."""
        if not trials:
            return 1.0
        tried = sorted(trial.factor for trial in trials)
        found = best(trials)
        if found is None:  # all trials failed: the rates are too large
            return tried[0] / self.step
        if found.factor == tried[-1]:
            return found.factor * self.step
        if found.factor == tried[0]:
            return found.factor / self.step
        position = tried.index(found.factor)
        below, above = tried[position - 1], tried[position + 1]
        wider = above if above / found.factor >= found.factor / below else below
        return math.sqrt(found.factor * wider)


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the best trial; None if all failed."""
    ranked = [
        (-one.metric, one.loss, abs(math.log(one.factor)), one.factor, number)
        for number, one in enumerate(trials)
        if one.metric is not None and one.loss is not None
    ]
    return trials[min(ranked)[-1]] if ranked else None
