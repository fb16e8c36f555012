"""The command `hybridopt draw`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from torch import nn

from hybridopt import _validation
from hybridopt._files import check_writable, write_bytes
from hybridopt.circuits import load_circuit
from hybridopt.cli import options
from hybridopt.cli.conversion import in_bridge
from hybridopt.cli.drawing import draw_picture, rendered
from hybridopt.cli.network_diagram import network_path
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer
from hybridopt.nn.network_spec import build_network
from hybridopt.storage import load
from hybridopt.storage.archive import is_archive

KINDS = ("png", "svg", "pdf")


def draw_network(
    what: Annotated[
        str,
        typer.Argument(
            help="A file of `hybridopt convert`; `mlp:4-3` or `file.py:function`, carried over by "
            "--bridge; or a circuit of the gallery or an OpenQASM 3 file."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Picture to write: .png, .svg or .pdf.")],
    network: Annotated[
        str | None, typer.Option(help="Class of a file's network, where it is not built in.")
    ] = None,
    bridge: options.BridgeName = "memory",
    option: options.BridgeOptions = None,
    seed: Annotated[int, typer.Option(help="Of the network's weights.")] = 0,
) -> None:
    """Draw a network's way through layers and circuits, and its circuit."""
    kind = _validation.choice("kind of picture", output.suffix.removeprefix("."), KINDS)
    check_writable(output)
    module = _module(what, network, bridge, option or [], seed)
    picture = rendered(draw_picture(network_path(module)), kind)
    write_bytes(output, picture)
    Console().print(Text(f"Written: {output}"), soft_wrap=True)


def _module(
    what: str, network: str | None, bridge: str, options: list[str], seed: int
) -> nn.Module:
    if is_archive(what):
        template = None if network is None else build_network(network, None, seed=seed)
        return load(what, template)
    if network is not None:
        raise ArgumentError(
            f"--network says the class of a file's network, but {what!r} is no file of "
            "`hybridopt convert`. Name the network itself: `hybridopt draw mlp:4-3 --output ...`."
        )
    if ":" in what:
        return in_bridge(bridge, options, build_network(what, None, seed=seed))
    return CircuitLayer(*load_circuit(what))
