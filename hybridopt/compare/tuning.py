"""The same search for a learning rate for every method; the test part is never shown to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridopt import _validation
from hybridopt.compare.results import Trial

DEFAULT_TRIALS = 3


@dataclass(frozen=True)
class Tuning:
    """How hard every method is tuned.

    Each trial trains with the whole budget on the training part without its validation part, with
    the base learning rates of all stages times one factor. The first factor is 1. The next ones
    climb: beyond the best factor as long as it is the largest or smallest tried, else between it
    and its neighbours. At last the factor with the best validation metric is taken (of equals the
    one with the lower validation loss, then the one nearer to 1) and the method is trained again
    on the whole training part.

    Attributes:
        trials: Trials for every method and seed; 1 takes the base learning rates untried.
        validation_fraction: Fraction of the training part that is kept for validation.
        step: Ratio of neighbouring factors.

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
        vars(self).update(trials=trials, validation_fraction=fraction, step=step)  # Python's types

    @classmethod
    def parse(cls, value: object) -> Tuning:
        """A Tuning, or one from a number of trials; None and 0 are no tuning.

        Raises:
            ArgumentTypeError: If it is something else.
        """
        if isinstance(value, Tuning):
            return value
        return cls(trials=max(1, _validation.optional_integer("tuning", value, minimum=0) or 1))

    def next_factor(self, trials: Sequence[Trial]) -> float:
        """What to try after these trials; failed ones count as worse than all others."""
        if not trials:
            return 1.0
        tried = sorted(trial.factor for trial in trials)
        found = best(trials)
        if found is None:  # nothing trained: the rates are too large
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
    """The trial that is taken; None if all failed."""
    ranked = [
        (-one.metric, one.loss, abs(math.log(one.factor)), one.factor, number)
        for number, one in enumerate(trials)
        if one.metric is not None and one.loss is not None
    ]
    return trials[min(ranked)[-1]] if ranked else None
