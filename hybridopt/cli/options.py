"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridopt.bridges import BRIDGES
from hybridopt.data import dataset_names
from hybridopt.optim import OPTIMIZERS

Data = Annotated[str, typer.Option(help=f"Dataset: {', '.join(dataset_names())}.")]
Network = Annotated[
    str, typer.Option(help="`mlp:64-20-10`, `file.py:function`, or `auto` (20 hidden units).")
]
OptimizerName = Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")]
BridgeName = Annotated[str, typer.Option(help=f"{', '.join(BRIDGES)}.")]
BridgeOptions = Annotated[
    list[str] | None, typer.Option(help="Of the bridge, `key=value`; once for each.")
]
Shots = Annotated[int | None, typer.Option(help="Shots a setting; without, exact simulation.")]
Seed = Annotated[int, typer.Option(help="Of data, weights, order and shots.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]
