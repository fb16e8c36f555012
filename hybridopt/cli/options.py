"""Options that several commands share, and a short way to write those of one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hybridopt.bridges import BRIDGES
from hybridopt.data import dataset_names
from hybridopt.errors import ArgumentError
from hybridopt.optim import OPTIMIZERS


def opt(text: str, *names: str) -> Any:
    """Return an option with its help, for `Annotated`."""
    return typer.Option(*names, help=text)


def number(name: str, text: str, kind: type[float], expected: str) -> Any:
    """Return the number that an option's text is, or say what was ``expected``."""
    try:
        return kind(text)
    except ValueError:
        raise ArgumentError(f"Argument `{name}` must be {expected}, but is {text!r}.") from None


Data = Annotated[str, opt(f"Dataset: {', '.join(dataset_names())}.")]
Network = Annotated[str, opt("`mlp:64-20-10`, `file.py:function`, or `auto` (20 hidden units).")]
OptimizerName = Annotated[str, opt(f"{', '.join(OPTIMIZERS)}.")]
BridgeName = Annotated[str, opt(f"{', '.join(BRIDGES)}.")]
BridgeOptions = Annotated[list[str] | None, opt("Of the bridge, `key=value`; once for each.")]
Shots = Annotated[int | None, opt("Shots a setting; without, exact simulation.")]
Seed = Annotated[int, opt("Of data, weights, order and shots.")]
Json = Annotated[bool, opt("Print JSON for machines, and nothing else.", "--json")]
