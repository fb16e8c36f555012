"""Paths that users give."""

from __future__ import annotations

import os
from pathlib import Path

from hybridopt.errors import ArgumentTypeError


def path_of(name: str, value: object) -> Path:
    """A path from a text or a path.

    Raises:
        ArgumentTypeError: If it is something else.
    """
    if isinstance(value, str):
        return Path(value)
    if isinstance(value, os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str):
            return Path(text)
    raise ArgumentTypeError(
        f"Argument `{name}` must be a path, as a text or a pathlib.Path, but is {value!r} of type "
        f"{type(value).__name__}."
    )
