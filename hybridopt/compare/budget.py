"""How much a method may spend, in epochs, seconds, settings or shots."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError

UNITS = ("epochs", "seconds", "settings", "shots")
_SPELLINGS = {
    **{unit: unit for unit in UNITS},
    **{unit.removesuffix("s"): unit for unit in UNITS},
    "s": "seconds",
}
_AMOUNT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]*)?(?:e\+?[0-9]+)?)\s*([A-Za-z]+)\s*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")  # commas within a number, as `str` writes them
DEFAULT_EPOCHS = 5


@dataclass(frozen=True)
class Budget:
    """What every method of a comparison may spend; of several limits the first to be met stops.

    Epochs are passes through the training part. Seconds are those of the training steps, without
    evaluation; training stops at the first step that ends after them. Settings and shots are those
    of training; training stops before a step that would exceed them. They cannot be kept by lbfgs
    and newton on circuits, whose steps evaluate the loss as often as they need: `compare` refuses
    that.

    Attributes:
        epochs: Passes, at least 1.
        seconds: More than 0.
        settings: At least 1.
        shots: At least 1.

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
            raise ArgumentError(
                'The budget has no limit. Give one or more, as `Budget(epochs=10)` or "10 epochs".'
            )

    @classmethod
    def parse(cls, value: object) -> Budget:
        """Read a budget.

        Args:
            value: A Budget; an int, which means epochs; a text such as ``"10 epochs"`` or
                ``"30 seconds, 2000 settings"``; or a mapping such as ``{"shots": 100_000}``.

        Raises:
            ArgumentTypeError: If it is something else.
            ArgumentError: If the text is not understood or a number is out of range.
            UnknownNameError: If the unit is not known.
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
                f'Argument `budget` must be a number of epochs, a text such as "10 epochs", a '
                f"mapping or a Budget, but is {value!r} of type {type(value).__name__}."
            )
        return cls(epochs=_validation.integer("budget", value, minimum=1))

    def limits(self) -> dict[str, float]:
        """The limits that are set, by unit."""
        return {unit: value for unit, value in asdict(self).items() if value is not None}

    @property
    def counts_circuits(self) -> bool:
        """Whether settings or shots are bounded."""
        return bool(self.limits().keys() & {"settings", "shots"})

    def parts(
        self, shares: Sequence[float], spending: Mapping[str, Sequence[bool]] | None = None
    ) -> list[Budget]:
        """Cut the budget for the stages of a chain, in proportion to their shares.

        Whole numbers are cut by the largest remainders, at least 1 for each stage. ``spending``
        tells by unit which stages spend any of it; the others are bounded by other units alone.

        Raises:
            ArgumentError: If there is less than 1 epoch, setting or shot for a stage.
        """
        if len(shares) == 1:
            return [self]
        cut: list[dict[str, float]] = [{} for _ in shares]
        for unit, value in self.limits().items():
            spent = (spending or {}).get(unit, shares)
            stages = [stage for stage in range(len(shares)) if spent[stage]]
            if not stages:
                continue
            total = sum(shares[stage] for stage in stages)
            exact = [value * shares[stage] / total for stage in stages]
            parts = exact if unit == "seconds" else _whole(unit, int(value), exact)
            for stage, part in zip(stages, parts, strict=True):
                cut[stage][unit] = part
        return [Budget(**part) if part else self for part in cut]  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ", ".join(_in_words(value, unit) for unit, value in self.limits().items())


def _read(text: str) -> dict[str, float]:
    limits: dict[str, float] = {}
    for piece in _THOUSANDS.sub("", text).split(","):
        match = _AMOUNT.fullmatch(piece)
        if match is None:
            raise ArgumentError(
                f'The budget {text!r} is not understood. Write for instance "10 epochs", '
                '"30 seconds", "2000 settings" or "10 epochs, 1e6 shots".'
            )
        word = match[2].lower()
        unit = _SPELLINGS.get(word) or _validation.choice("unit of a budget", word, UNITS)
        if unit in limits:
            raise ArgumentError(f"The budget {text!r} gives {unit} twice.")
        amount = float(match[1].replace("_", ""))
        if unit != "seconds" and not amount.is_integer():
            raise ArgumentError(f"The budget {text!r} must hold a whole number of {unit}.")
        limits[unit] = amount if unit == "seconds" else int(amount)
    return limits


def _whole(unit: str, total: int, exact: list[float]) -> list[float]:
    if total < len(exact):
        raise ArgumentError(
            f"A budget of {total} {unit} is less than one for each of the {len(exact)} stages of "
            "a chain. Raise it, or shorten the chain."
        )
    cut = [max(1, math.floor(value)) for value in exact]
    while sum(cut) > total:  # stages that were raised to 1 are paid by the largest
        cut[max(range(len(cut)), key=lambda k: cut[k] - exact[k] if cut[k] > 1 else -math.inf)] -= 1
    while sum(cut) < total:
        cut[max(range(len(cut)), key=lambda k: exact[k] - cut[k])] += 1
    return [*cut]


def _in_words(value: float, unit: str) -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return f"{number} {unit.removesuffix('s') if value == 1 else unit}"
