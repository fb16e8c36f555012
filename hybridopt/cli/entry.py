"""Program `hybridopt`: its commands, which are imported when called, and its error output."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

import hybridopt
from hybridopt.cli.output import interruptible
from hybridopt.cli.process import ending_signals, standard_streams
from hybridopt.errors import HybridOptError

# module of this folder: first line of the docstring of its function `command`
COMMANDS = {
    "run": "Train a network, convert it to a circuit, train it there, convert it back, fine-tune.",
    "train": "Train one network on torch, or in circuits with --bridge, and save it.",
    "compare": "Compare ways to train a network, with equal data, budget and tuning.",
    "convert": "Convert a saved network to a circuit file or back, and report the changes.",
    "draw": "Draw the layers of a network, and its circuit.",
    "circuits": "List the circuits of the gallery, or show one circuit and its execution.",
    "bench": "Measure simulators: rule x method x device x problem x batch x shots x noise.",
    "devices": "Show the devices that this build of Aer can use, and how to change the build.",
}


class LazyCommand(TyperCommand):
    """Command whose module is imported when it is called, so that help needs no torch."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Pass the arguments to the command of the module."""
        assert self.name is not None
        single = typer.Typer(add_completion=False)
        single.command(self.name)(import_module(f"hybridopt.cli.{self.name}").command)
        return typer.main.get_command(single).make_context(info_name, args, *rest, **extra)


class LazyGroup(TyperGroup):
    """Group of all commands, which end with the exit code of a shell after a signal."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: LazyCommand(name, help=text) for name, text in COMMANDS.items()}

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with interruptible():
            return super().invoke(ctx)


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
    """Train networks on torch and as quantum circuits on Qiskit Aer, and compare them."""


def main() -> None:
    """Run the program; print errors of hybridopt in one line, and exit with code 2."""
    with standard_streams(), ending_signals():
        try:
            try:
                app()
            finally:
                sys.stdout.flush()  # an error on a full disk
        except HybridOptError as error:
            line = Text.assemble(("Error:", "bold red"), " ", " ".join(str(error).split()))
            Console(stderr=True).print(line, soft_wrap=True)
            sys.exit(2)
