"""Argument checks at the public door: each returns the checked value or raises our error."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError


def instance(name: str, value: object, kind: Any, expected: str) -> Any:
    """Return ``value`` if it is of a kind, which the message calls as ``expected`` does."""
    if isinstance(value, kind):
        return value
    shown = f"but is of type {type(value).__name__}"
    if isinstance(value, type):
        shown = f"but is the class {value.__name__} itself. Make one of it: {value.__name__}(...)"
    raise ArgumentTypeError(f"Argument `{name}` must be {expected}, {shown}.")


def items(name: str, value: object) -> tuple[Any, ...]:
    """Return the items of a list, a tuple or an array; a string or a set is refused."""
    if isinstance(value, str | set | frozenset) or not isinstance(value, Iterable):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a list or a tuple, but is {value!r} of type "
            f"{type(value).__name__}."
        )
    return tuple(value)


def path(name: str, value: object, suffix: str | None = None) -> Path:
    """Return a path, ``~`` expanded, that ends in ``suffix`` if one is given."""
    given = instance(name, value, str | os.PathLike, "a path")
    target = Path(os.fsdecode(given)).expanduser()
    if suffix is not None and target.suffix != suffix:
        raise ArgumentError(f"Argument `{name}` must end in {suffix}, but is {str(target)!r}.")
    return target


def integer(
    name: str, value: object, *, minimum: int | None = None, maximum: int | None = None
) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``; bools and floats are refused."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(
            f"Argument `{name}` must be an int, but is {value!r} of type {type(value).__name__}."
        )
    number = int(value)
    if minimum is not None and number < minimum:
        raise ArgumentError(f"Argument `{name}` must be {minimum} or more, but is {number}.")
    if maximum is not None and number > maximum:
        raise ArgumentError(f"Argument `{name}` must be {maximum} or less, but is {number}.")
    return number


def optional_integer(
    name: str, value: object, *, minimum: int | None = None, maximum: int | None = None
) -> int | None:
    """Like `integer`, and None passes."""
    return None if value is None else integer(name, value, minimum=minimum, maximum=maximum)


def real(
    name: str,
    value: object,
    *,
    minimum: float = -math.inf,
    below: float = math.inf,
    strict: bool = False,
) -> float:
    """Return ``value`` as a finite float of at least (``strict``: more than) ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a number, but is {value!r} of type {type(value).__name__}."
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentError(f"Argument `{name}` must be finite, but is {number}.")
    if number < minimum or (strict and number == minimum):
        bound = f"more than {minimum:g}" if strict else f"{minimum:g} or more"
        raise ArgumentError(f"Argument `{name}` must be {bound}, but is {number:g}.")
    if number >= below:
        raise ArgumentError(f"Argument `{name}` must be less than {below:g}, but is {number:g}.")
    return number


def optional_real(
    name: str, value: object, *, minimum: float = -math.inf, strict: bool = False
) -> float | None:
    """Like `real`, and None passes."""
    return None if value is None else real(name, value, minimum=minimum, strict=strict)


def boolean(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if isinstance(value, bool):
        return value
    raise ArgumentTypeError(f"Argument `{name}` must be True or False, but is {value!r}.")


def choice(kind: str, value: object, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the ``known`` names of a ``kind`` of thing."""
    names = list(known)
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"The {kind} must be given by name, but is {value!r} of type {type(value).__name__}. "
            f"Known: {', '.join(names)}."
        )
    if value not in names:
        raise UnknownNameError(f"Unknown {kind} {value!r}. {_suggestion(value, names)}")
    return value


def keywords(owner: str, given: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse keyword arguments that ``owner`` does not take, with the nearest names."""
    names = list(known)
    for name in given:
        if name not in names:
            raise UnknownNameError(
                f"{owner} takes no keyword argument {name!r}. {_suggestion(name, names)}"
            )


def first_line(error: Exception) -> str:
    """What an error of another library says first, as a sentence; its name if it says nothing."""
    lines = str(error).strip().splitlines()
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."


def _suggestion(value: str, names: list[str]) -> str:
    nearest = difflib.get_close_matches(value.lower(), [n.lower() for n in names], n=3, cutoff=0.5)
    spelled = [n for n in names if n.lower() in nearest]
    known = f"Known: {', '.join(names)}." if names else "It takes none."
    return f"Did you mean {' or '.join(map(repr, spelled))}? {known}" if spelled else known
