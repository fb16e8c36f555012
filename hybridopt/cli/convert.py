"""The command `hybridopt convert`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybridopt.cli import options
from hybridopt.cli.conversion import Change, Conversion, ConversionSettings, convert
from hybridopt.data import dataset_names


def convert_file(
    source: Annotated[
        Path,
        typer.Argument(help="A state_dict that torch.save wrote; or a file of this command."),
    ],
    to: Annotated[
        Path,
        typer.Option(help="File to write: of circuits, or for one of ours as source a state_dict."),
    ],
    network: Annotated[
        str | None, typer.Option(help="Whose state_dict it is: `mlp:64-20-10`, `file.py:function`.")
    ] = None,
    bridge: options.BridgeName = "memory",
    option: options.BridgeOptions = None,
    data: Annotated[
        str | None,
        typer.Option(help=f"Compare outputs on its test part: {', '.join(dataset_names())}."),
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option("--input", help="Shape of one input, such as 64 or 1x8x8.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn without data.")] = 0,
    qpy: Annotated[Path | None, typer.Option(help="Write the circuit as QPY, too.")] = None,
    qasm: Annotated[Path | None, typer.Option(help="Write it as OpenQASM 3, too.")] = None,
    as_json: options.Json = False,
) -> None:
    """Carry a saved network into a circuit file, or back, and say what that changed.

    A new circuit runs without shots, that of a file as it was saved. The source is never
    overwritten.
    """
    settings = ConversionSettings(
        source=source,
        target=to,
        network=network,
        bridge=bridge,
        options=tuple(option or ()),
        data=data,
        shape=input_shape,
        seed=seed,
        qpy=qpy,
        qasm=qasm,
    )
    outcome = convert(settings)
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_dict(), indent=2) + "\n")
    else:
        _show(outcome)


def _show(outcome: Conversion) -> None:
    console = Console()
    console.print(Text(f"{outcome.source} {outcome.direction} ({outcome.bridge})"), soft_wrap=True)
    console.print(
        f"{outcome.num_weights:,} weights, {outcome.num_angles:,} angles, "
        f"{outcome.num_qubits} qubits"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("largest change of", "a weight", "an output"):
        table.add_column(name, justify="left" if name.startswith("largest") else "right")
    changes = {"the conversion": outcome.conversion, "the round trip": outcome.round_trip}
    for name, change in changes.items():
        table.add_row(name, *_in_words(change))
    console.print(table)
    for file in outcome.files:
        console.print(Text(f"Written: {file}"), soft_wrap=True)


def _in_words(change: Change) -> list[str]:
    values = (change.weight, change.output)
    return ["" if v is None else f"{v:.1e}" if v else "0" for v in values]
