"""Argument checks at the public door: each returns the checked value or raises our error."""

from __future__ import annotations

import math
import os
import re
import reprlib
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from hybridopt._suggestions import check_keywords, did_you_mean
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError

keywords = check_keywords

_DECIMAL = ("B", "kB", "MB", "GB", "TB")
_UNIT_NAMES = (*_DECIMAL, "KiB", "MiB", "GiB", "TiB")
_UNITS: dict[str, int] = {unit.lower(): 1000**power for power, unit in enumerate(_DECIMAL)}
_UNITS |= {unit.lower(): 1024**power for power, unit in enumerate(_UNIT_NAMES[5:], start=1)}
_MEMORY = re.compile(r"(\d+\.?\d*|\.\d+)\s*(b|[kmgt]i?b)", re.IGNORECASE | re.ASCII)


def instance(name: str, value: object, kind: Any, expected: str, remedy: str = "") -> Any:
    """Return ``value`` if it is an instance of ``kind``; the message calls it ``expected``."""
    if isinstance(value, kind):
        return value
    raise _wrong_type(name, value, expected, remedy)


def items(name: str, value: object) -> tuple[Any, ...]:
    """Return the items of a list, a tuple or an array; reject strings and sets."""
    if isinstance(value, str | set | frozenset) or not isinstance(value, Iterable):
        raise _wrong_type(name, value, "a list or a tuple")
    return tuple(value)


def path(name: str, value: object, *suffixes: str) -> Path:
    """Return a path, ``~`` expanded, that ends in one of the ``suffixes`` if some are given."""
    given = instance(name, value, str | os.PathLike, "a path")
    target = Path(os.fsdecode(given)).expanduser()
    if suffixes and target.suffix not in suffixes:
        ends = " or ".join(suffixes)
        raise ArgumentError(f"`{name}` must end in {ends} (got {str(target)!r}).")
    return target


def integer(
    name: str, value: object, *, minimum: int | None = None, maximum: int | None = None
) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``; reject bools and floats."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _wrong_type(name, value, "an int")
    number = int(value)
    if minimum is not None and number < minimum:
        raise ArgumentError(f"`{name}` must be at least {minimum} (got {number}).")
    if maximum is not None and number > maximum:
        raise ArgumentError(f"`{name}` must be at most {maximum} (got {number}).")
    return number


def optional_integer(
    name: str, value: object, *, minimum: int | None = None, maximum: int | None = None
) -> int | None:
    """Return ``value`` checked by `integer`, or None."""
    return None if value is None else integer(name, value, minimum=minimum, maximum=maximum)


def optional_memory(name: str, value: object) -> int | None:
    """Return a memory size in bytes, from an int [bytes] or from text such as "2 GB"; or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise _wrong_type(name, value, 'a number of bytes, or a text such as "2 GB"')
        return integer(name, value, minimum=1)
    found = _MEMORY.fullmatch(value.strip()[:100])
    size = float(found[1]) * _UNITS[found[2].lower()] if found else 0.0
    if not 1 <= size < math.inf:
        raise ArgumentError(
            f"`{name}` must be at least 1 byte, as an int or with a unit (got {_shown(value)}). "
            f'Write for example "2 GB" or "500 MB". Units: {", ".join(_UNIT_NAMES)}.'
        )
    return int(size)


def memory_text(size: float, *, up: bool = False) -> str:
    """Return a number of bytes with its unit, to three digits, rounded down or up."""
    unit = max((u for u in _DECIMAL if _UNITS[u.lower()] <= size), default="B", key=_by_size)
    number = size / _UNITS[unit.lower()]
    step = 10.0 ** (math.floor(math.log10(max(number, 1.0))) - 2)
    rounded = math.ceil(number / step - 1e-9) if up else math.floor(number / step + 1e-9)
    return f"{rounded * step:.4g} {unit}"


def _by_size(unit: str) -> int:
    return _UNITS[unit.lower()]


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
        raise _wrong_type(name, value, "a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentError(f"`{name}` must be finite (got {number}).")
    if number < minimum or (strict and number == minimum):
        bound = f"{'greater than' if strict else 'at least'} {minimum:g}"
        raise ArgumentError(f"`{name}` must be {bound} (got {number:g}).")
    if number >= below:
        raise ArgumentError(f"`{name}` must be less than {below:g} (got {number:g}).")
    return number


def optional_real(
    name: str, value: object, *, minimum: float = -math.inf, strict: bool = False
) -> float | None:
    """Return ``value`` checked by `real`, or None."""
    return None if value is None else real(name, value, minimum=minimum, strict=strict)


def boolean(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if isinstance(value, bool):
        return value
    raise _wrong_type(name, value, "True or False")


def choice(kind: str, value: object, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the ``known`` names of a ``kind`` of thing."""
    names = list(known)
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"The {kind} must be a name (got {_shown(value)}). Available: {', '.join(names)}."
        )
    if value not in names:
        hint = did_you_mean(value, names)
        raise UnknownNameError(f"Unknown {kind} {value!r}.{hint} Available: {', '.join(names)}.")
    return value


def no_attribute(module: str, name: str) -> AttributeError:
    """Return Python's error for a name that a module does not have."""
    return AttributeError(f"module {module!r} has no attribute {name!r}")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message as a sentence, or the error's class."""
    lines = str(error).strip().splitlines()
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."


def _wrong_type(name: str, value: object, expected: str, remedy: str = "") -> ArgumentTypeError:
    if isinstance(value, type):
        remedy = f"Create an instance: {value.__name__}(...)."
    hint = f" {remedy}" if remedy else ""
    return ArgumentTypeError(f"`{name}` must be {expected} (got {_shown(value)}).{hint}")


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"{' '.join(reprlib.repr(value).split())} of type {type(value).__name__}"
