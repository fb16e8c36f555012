"""Program `hybridopt`: its commands, which are imported when called, and its error output."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

import hybridopt
from hybridopt._suggestions import near_names
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


EXAMPLES = {  # below the options of a command
    "run": ("hybridopt run --data iris --shots 1000",),
    "train": (
        "hybridopt train --data iris --optimizer lbfgs --epochs 10",
        "hybridopt train --data iris --network mlp:4-8-3 --bridge memory --shots 1000",
    ),
    "compare": (
        "hybridopt compare --data iris --method adam --method memory+adam",
        'hybridopt compare --method sgd --method adam --budget "3 epochs" --seeds 3',
    ),
    "convert": (
        "hybridopt convert network.pt --network mlp:4-8-3 --to network.ho",
        "hybridopt convert network.ho --to network.pt",
    ),
    "draw": (
        "hybridopt draw mlp:4-3 --bridge memory --output network.png",
        "hybridopt draw qcnn --output circuit.png",
    ),
    "circuits": ("hybridopt circuits", "hybridopt circuits qcnn"),
    "bench": (
        "hybridopt bench --quick --peers",
        "hybridopt bench --circuit qcnn --gradient adjoint --batch 1,32",
        "hybridopt bench --problem ladder:4-16-16 --peer mine.py:Mine --csv rows.csv",
    ),
    "devices": ("hybridopt devices --json",),
}


class LazyCommand(TyperCommand):
    """Command whose module is imported when it is called, so that help needs no torch."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Pass the arguments to the command of the module."""
        assert self.name is not None
        single = typer.Typer(add_completion=False)
        examples = "\n\n".join(("Examples:", *EXAMPLES[self.name]))  # else lines are joined
        function = import_module(f"hybridopt.cli.{self.name}").command
        single.command(self.name, epilog=examples)(function)
        command = typer.main.get_command(single)
        try:
            return command.make_context(info_name, args, *rest, **extra)
        except Exception as error:
            if hasattr(error, "option_name") and hasattr(error, "possibilities"):
                _suggest(error, command.params)
            raise


def _suggest(error: Any, parameters: Iterable[Any]) -> None:
    """Add near options with their help to the error for an unknown option.

    Its class has two names, because new versions of typer have their own copy of click.
    """
    known = {one.name: one for one in parameters if one.opts[0].startswith("--")}
    word = error.option_name.lstrip("-").replace("-", "_")
    near = [known[name] for name in near_names(word, known)]
    if near:
        words = " or ".join(f"{one.opts[0]} ({one.help.rstrip('.')})" for one in near)
        error.message = f"No such option: {error.option_name}. Did you mean {words}?"
        error.possibilities = None


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
