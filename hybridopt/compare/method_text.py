"""The grammar of methods: `>` between stages, `+` behind a bridge, `:` before a share, (…)."""

from __future__ import annotations

import ast
import re
from typing import Any

from hybridopt import _validation
from hybridopt.bridges import BRIDGES
from hybridopt.errors import ArgumentError
from hybridopt.optim import OPTIMIZERS

DEFAULT_OPTIMIZER = "adam"
FORMS = '"adam", "memory+adam", or a chain such as "adam:3 > memory+adam:5 > adam:10"'
_TERM = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


def share_of(text: str, piece: str) -> tuple[str, float | None]:
    """A stage without its share, and the share."""
    body, *numbers = split(piece, ":")
    if not numbers:
        return body, None
    try:
        share = float(numbers[0]) if len(numbers) == 1 else -1.0
    except ValueError:
        share = -1.0
    if not 0 < share < float("inf"):
        raise ArgumentError(
            f"In the method {text!r}, {piece!r} must end in `:` and a positive number of epochs, "
            'as "adam:3".'
        )
    return body, share


def term(text: str, piece: str) -> tuple[str, dict[str, Any]]:
    """A name and the options in its brackets."""
    match = _TERM.fullmatch(piece)
    if match is None:
        raise ArgumentError(f"In the method {text!r}, {piece.strip()!r} is no name. Write {FORMS}.")
    options: dict[str, Any] = {}
    for item in split(match[2] or "", ","):
        if not item.strip():
            continue
        key, separator, value = item.partition("=")
        if not separator or not key.strip().isidentifier():
            raise ArgumentError(
                f"In the method {text!r}, the option {item.strip()!r} must be written `name=value`."
            )
        options[key.strip()] = _value(value.strip())
    return match[1], options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def split(text: str, mark: str) -> list[str]:
    """Cut at a mark outside brackets."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == mark and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def roles(
    text: str, terms: list[tuple[str, dict[str, Any]]]
) -> tuple[tuple[str, dict[str, Any]] | None, tuple[str, dict[str, Any]]]:
    """Which term is the bridge and which the optimizer."""
    if len(terms) > 2:
        raise ArgumentError(f"The method {text!r} joins more than a bridge and an optimizer.")
    (first, options), *rest = terms
    if not rest:
        _validation.choice("optimizer or bridge", first, [*OPTIMIZERS, *BRIDGES])
        alone = (first, options)
        return (None, alone) if first in OPTIMIZERS else (alone, (DEFAULT_OPTIMIZER, {}))
    if first in OPTIMIZERS and rest[0][0] in BRIDGES:
        raise ArgumentError(
            f'The bridge stands before the optimizer: write "{rest[0][0]}+{first}", not {text!r}.'
        )
    _validation.choice("bridge", first, BRIDGES)
    _validation.choice("optimizer", rest[0][0], OPTIMIZERS)
    return (first, options), rest[0]


def canonical(pieces: list[str]) -> str:
    """The text with one spelling of spaces, and the optimizer of a bridge that stands alone."""
    words = []
    for piece in pieces:
        body, *share = split(piece, ":")
        terms = ["".join(term.split()) for term in split(body, "+")]
        if len(terms) == 1 and terms[0].partition("(")[0] in BRIDGES:
            terms.append(DEFAULT_OPTIMIZER)
        words.append(":".join(["+".join(terms), *(number.strip() for number in share)]))
    return " > ".join(words)
