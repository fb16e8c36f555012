"""The program `hybridopt`: its commands, which are imported when called, and our errors there."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

import hybridopt
from hybridopt.errors import HybridOptError

# module of this folder: the first line of the docstring of its function `command`
COMMANDS = {
    "run": "Train a network, carry it into a circuit, train it there, carry it back and fine-tune "
    "it.",
    "train": "Train one network on torch, or in circuits with --bridge, and keep it.",
    "compare": "Compare ways to train a network: same data, budget and tuning, over several seeds.",
    "convert": "Carry a saved network into a circuit file, or back, and say what that changed.",
    "draw": "Draw a network's way through layers and circuits, and its circuit.",
    "circuits": "List the gallery of circuits; or show one of them, or a file of yours, and how it "
    "is run.",
    "bench": "Measure simulators: gradient rule x method x device x problem x batch x shots.",
    "devices": "Show which devices this build of Aer can use, and how to change the build.",
}


class LazyCommand(TyperCommand):
    """A command by its name; its module is imported when it is called, so help needs no torch."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Hand the words of the command line on to the real command."""
        assert self.name is not None
        single = typer.Typer(add_completion=False)
        single.command(self.name)(import_module(f"hybridopt.cli.{self.name}").command)
        return typer.main.get_command(single).make_context(info_name, args, *rest, **extra)


class LazyGroup(TyperGroup):
    """The commands of the table above."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: LazyCommand(name, help=text) for name, text in COMMANDS.items()}


app = typer.Typer(
    cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _version(show: bool) -> bool:
    if show:
        Console().print(f"hybridopt {hybridopt.__version__}")
        raise typer.Exit
    return show


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train networks on torch and as quantum circuits on Qiskit Aer, and compare fairly."""


def main() -> None:
    """Run the program; errors of ours become one line, for people and for scripts."""
    try:
        app()
    except HybridOptError as error:
        line = Text.assemble(("Error:", "bold red"), " ", " ".join(str(error).split()))
        Console(stderr=True).print(line, soft_wrap=True)
        sys.exit(2)
