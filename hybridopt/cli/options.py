"""Options that several commands share, and functions to define and parse options."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hybridopt.bridges import BRIDGES
from hybridopt.data import dataset_names
from hybridopt.errors import ArgumentError
from hybridopt.optim import OPTIMIZERS


def opt(text: str, *names: str) -> Any:
    """Return an option with a help text, for `Annotated`."""
    return typer.Option(*names, help=text)


def number(name: str, text: str, kind: type[float], expected: str) -> Any:
    """Return the text of an option as a number; the message names the ``expected`` values."""
    try:
        return kind(text)
    except ValueError:
        raise ArgumentError(f"`{name}` must be {expected} (got {text!r}).") from None


Data = Annotated[
    str,
    opt(
        f"Name of a dataset ({', '.join(dataset_names())}), or a CSV file with the classes or "
        "targets in its last column."
    ),
]
Network = Annotated[str, opt("`mlp:64-20-10`, `file.py:function`, or `auto` (20 hidden units).")]
OptimizerName = Annotated[str, opt(f"Name of an optimizer: {', '.join(OPTIMIZERS)}.")]
BridgeName = Annotated[str, opt(f"Name of a bridge: {', '.join(BRIDGES)}.")]
BridgeOptions = Annotated[list[str] | None, opt("Bridge option `key=value`; can be repeated.")]
Shots = Annotated[int | None, opt("Number of shots per setting; exact by default.")]
ExecutorName = Annotated[
    str | None, opt("`fake:FakeManilaV2` or `file.py:function` for the circuits; default Aer.")
]
Device = Annotated[str | None, opt("Device of the circuits: CPU, GPU (or cuda), or auto.")]
Seed = Annotated[int, opt("Seed for data, weights, order and shots.")]
Json = Annotated[bool, opt("Print the result as JSON, and nothing else.", "--json")]
