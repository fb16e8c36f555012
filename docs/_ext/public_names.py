"""Directives for the API reference: one entry per public name, in the order of ``__all__``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from importlib import import_module

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import inspect as sphinx_inspect
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import hybridopt

MODULES = (
    "bench", "bridges", "circuits", "compare", "data", "demo", "errors", "execution", "gradients",
    "nn", "optim", "qiskit_ml", "sklearn", "storage", "training", "transfer",
)  # fmt: skip


def setup(app: Sphinx) -> None:
    """Connect directives and the check that no name is missing."""
    app.add_directive("public-names", PublicNames)
    app.add_directive("public-overview", PublicOverview)
    app.connect("autodoc-skip-member", skip_foreign_member)
    app.connect("autodoc-process-signature", signature_of_constructor)
    app.connect("env-check-consistency", warn_of_missing_names)


def public_names(module: str) -> dict[str, object]:
    """Return the public names of a module with their objects; errors have no ``__all__``."""
    import_module(module)
    source = sys.modules[module]  # `hybridopt.compare` is a function, too
    if names := getattr(source, "__all__", None):
        return {name: getattr(source, name) for name in names}
    return {n: getattr(source, n) for n in dir(source) if inspect.isclass(getattr(source, n))}


def entry_of(module: str, name: str) -> str:
    """Return the name of the entry: that of the package if it exports the name, too."""
    return f"hybridopt.{name}" if name in hybridopt.__all__ else f"{module}.{name}"


def directive_of(value: object) -> str:
    """Return the directive of autodoc for an object."""
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    return "autofunction" if inspect.isfunction(value) else "py:data"


def first_sentence(value: object) -> str:
    """Return the first line of a docstring; constants have none of their own."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    if isinstance(value, Mapping):
        return f"Mapping of the names {', '.join(f'``{name}``' for name in value)}."
    return f"Type ``{re.sub(r'[a-z_.]+[.]', '', str(value))}``."


class PublicNames(SphinxDirective):
    """Entries of all public names of a module; the content lists further full names."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a table of the names and their entries."""
        module = self.arguments[0]
        found = {entry_of(module, name): value for name, value in public_names(module).items()}
        for name in self.content:
            home, _, last = name.rpartition(".")
            found[name] = getattr(import_module(home), last)
        lines = [*table_of(found), "", f".. currentmodule:: {module}", ""]
        for name, value in found.items():
            if directive_of(value) == "py:data":  # its name is relative to the module
                last = name.removeprefix(f"{module}.")
                lines += [f".. py:data:: {last}", "", f"   {first_sentence(value)}", ""]
            else:
                lines += [f".. {directive_of(value)}:: {name}", ""]
        return rendered(self, lines)


class PublicOverview(SphinxDirective):
    """Table of the public names of a module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        values = public_names(self.arguments[0])
        names = {
            f"hybridopt.{n}": value for n, value in values.items() if not inspect.ismodule(value)
        }
        return rendered(self, table_of(names))


def table_of(values: dict[str, object]) -> list[str]:
    """Return a table of names and first sentences as lines of reStructuredText."""
    lines = [".. list-table::", "   :widths: auto", ""]
    for name, value in values.items():
        lines += [f"   * - :py:obj:`~{name}`", f"     - {first_sentence(value)}"]
    return lines


def rendered(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """Return the nodes of lines of reStructuredText on a Markdown page."""
    text = StringList(["```{eval-rst}", *lines, "```"], source=directive.get_location())
    parent = nodes.Element()
    directive.state.nested_parse(text, directive.content_offset, parent)
    return parent.children


def skip_foreign_member(*event: object) -> bool | None:
    """Leave out methods that a class inherits from another package."""
    value = event[3]
    value = getattr(value, "fget", None) or getattr(value, "__func__", value)
    home = getattr(value, "__module__", None)
    return True if home is not None and not home.startswith("hybridopt") else None


def signature_of_constructor(*event: object) -> tuple[str, str | None] | None:
    """Return the signature of ``__init__`` for a class whose ``__new__`` takes any arguments."""
    _, kind, _, value, _, signature, _ = event
    if kind != "class" or not str(signature).startswith("(*args: "):
        return None
    found = sphinx_inspect.signature(value.__init__, bound_method=True)
    stringify = sphinx_inspect.stringify_signature
    return stringify(found, show_return_annotation=False, unqualified_typehints=True), None


def warn_of_missing_names(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names without an entry; `make docs` turns warnings into errors."""
    for name in missing_names(set(env.domains["py"].objects)):
        logging.getLogger(__name__).warning("public name without an entry: %s", name)


def missing_names(entries: set[str]) -> list[str]:
    """Return the public names of the package and its modules that have no entry."""
    modules = {f"hybridopt.{name}" for name in MODULES}
    wanted = {entry_of(module, name) for module in modules for name in public_names(module)}
    wanted |= {f"hybridopt.{name}" for name in hybridopt.__all__} - modules
    return sorted(wanted - entries)
