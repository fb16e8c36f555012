"""Competitors of the user, from a Python file."""

from __future__ import annotations

from hybridopt._user_code import call_in_file, split_source
from hybridopt.bench.peers.competitor import Competitor
from hybridopt.errors import ArgumentError


def is_file_peer(text: str) -> bool:
    """Return True if a text has the form ``file.py:Class``."""
    return split_source(text) is not None


def is_one_file_peer(text: str) -> bool:
    """Return True if such a text is not a list: the file exists, and the class has no comma."""
    source = split_source(text)
    return source is not None and source[0].is_file() and "," not in source[1]


def peer_from_file(text: str) -> Competitor:
    """Return a competitor from ``file.py:Class``; the class has no arguments.

    Raises:
        ArgumentError: If the file does not exist, its code raises an error, or the class is not a
            complete `Competitor`.
    """
    source = split_source(text)
    assert source is not None
    found = call_in_file("peer", *source)
    if not isinstance(found, Competitor):
        raise ArgumentError(
            f"{text} must be a class that derives from `hybridopt.bench.Competitor` "
            f"(got {type(found).__name__})."
        )
    for name in ("name", "library", "rule"):
        if not isinstance(getattr(found, name, None), str):
            raise ArgumentError(f"{text} must have a text as `{name}`, for the table. Add it.")
    return found
