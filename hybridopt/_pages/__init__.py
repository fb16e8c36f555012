"""Self-contained HTML pages with one style and embedded pictures."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files


def inlined(pictures: Mapping[str, bytes]) -> dict[str, str]:
    """Return addresses of SVG files that contain their data, by the names of the pictures."""
    return {
        name: f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        for name, content in pictures.items()
    }


def render(template: str, **content: object) -> str:
    """Render a page from a template, with escaped content and the common ``style``.

    Example:
        >>> render("<p>{{ text }}</p>", text="a < b")
        '<p>a &lt; b</p>'
    """
    from jinja2 import Environment  # slow to import
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    style = Markup(files("hybridopt._pages").joinpath("style.css").read_text("utf-8"))  # noqa: S704  # our own file
    return environment.from_string(template).render(style=style, breakable=breakable, **content)


def breakable(name: str) -> str:
    """Return a name as HTML in which lines may break before brackets and after signs.

    Example:
        >>> breakable("memory(merge=epoch)+adam")
        Markup('memory<wbr>(merge=<wbr>epoch)+<wbr>adam')
    """
    from markupsafe import Markup, escape  # slow to import

    text = re.sub(r"(?<=[+:=_-])|(?=\()", "<wbr>", str(escape(name)))
    return Markup(text)  # noqa: S704  # escaped above


def html_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()
) -> str:
    """Return a table for notebooks, with escaped texts; all but the first column are numbers.

    Example:
        >>> html_table(["a"], [["<"]])
        '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;</td></tr></tbody></table>'
    """

    def line(cells: Sequence[str], tag: str) -> str:
        first, *others = (html.escape(cell) for cell in cells)
        right = (f'<{tag} style="text-align: right">{cell}</{tag}>' for cell in others)
        return f"<tr><{tag}>{first}</{tag}>{''.join(right)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>{below}"
