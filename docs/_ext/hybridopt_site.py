"""Sphinx extension of this site: formulas, pictures and references without a network."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode
from sphinx.writers.html5 import HTML5Translator

STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def setup(app: Sphinx) -> dict[str, object]:
    """Connect the parts of the extension."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
    app.connect("doctree-resolved", inline_drawings)
    app.connect("missing-reference", public_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline_formula(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of a line as MathML, which browsers draw without a script."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed_formula(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own line as MathML; it scrolls where it is too wide."""
    formula = node.astext()
    if "&" in formula or r"\\" in formula:
        formula = rf"\begin{{align*}}{formula}\end{{align*}}"
    translator.body.append(f'<div class="formula">{convert(formula, display="block")}</div>')
    raise nodes.SkipNode


def inline_drawings(app: Sphinx, doctree: nodes.document, _page: str) -> None:
    """Put the drawings of docs/pictures into the page, where they take its colours.

    Other pictures become links to their files.
    """
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].startswith("docs/pictures/"):
            drawing = STYLE.sub("", Path(app.srcdir, image["uri"]).read_text("utf-8"))
            name = escape(image.get("alt", ""), quote=True)
            drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
            image.replace_self(
                nodes.raw("", f'<div class="drawing">{drawing}</div>', format="html")
            )
        elif not isinstance(image.parent, nodes.reference):
            # Sphinx links scaled pictures to their files, to enlarge them
            option = {"width": "100%"} if image["uri"].endswith(".svg") else {"scale": 100}
            image.attributes.update(option)


def public_reference(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Resolve a name of the package by its last part, if one public entry has it.

    Docstrings and annotations name classes by their modules; the site has entries for public names.
    """
    if node.get("refdomain") != "py":
        return None
    last = node["reftarget"].rsplit(".", 1)[-1]
    entries = env.domains["py"].objects
    found = {name: entry for name, entry in entries.items() if name.rsplit(".", 1)[-1] == last}
    names = [name for name, entry in found.items() if not entry.aliased]
    if len(names) != 1 or not (last[:1].isupper() or is_ours(node["reftarget"], names[0])):
        return None
    entry = found[names[0]]
    return make_refnode(
        app.builder, node["refdoc"], entry.docname, entry.node_id, content, names[0]
    )


def is_ours(target: str, entry: str) -> bool:
    """Return whether a name in lower case is one of the package, not a common word."""
    return target.startswith("hybridopt.") or entry == f"hybridopt.{target}"
