"""Directive for the options of a command, from its own help texts."""

from __future__ import annotations

from importlib import import_module

import typer
from docutils import nodes
from public_names import rendered
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def setup(app: Sphinx) -> None:
    """Connect the directive."""
    app.add_directive("command-options", CommandOptions)


class CommandOptions(SphinxDirective):
    """Table of the arguments and options of a command."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        lines = [".. list-table::", "   :widths: auto", ""]
        for option, text in options_of(self.arguments[0]).items():
            lines += [f"   * - ``{option}``", f"     - {text}"]
        return rendered(self, lines)


def options_of(command: str) -> dict[str, str]:
    """Return the names of all options with their help texts in reStructuredText."""
    single = typer.Typer(add_completion=False)
    single.command(command)(import_module(f"hybridopt.cli.{command}").command)
    found = {}
    for parameter in typer.main.get_command(single).params:
        if parameter.name != "help":
            name = (
                ", ".join(parameter.opts) if parameter.opts[0].startswith("-") else parameter.name
            )
            found[name] = f"{parameter.help}{default_of(parameter)}".replace("`", "``")
    return found


def default_of(parameter: object) -> str:
    """Return the default as a sentence; options that are off or empty have none."""
    default = parameter.default
    is_shown = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f" Default: `{default}`." if is_shown else ""
