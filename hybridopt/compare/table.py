"""A table for people and for other programs."""

from __future__ import annotations

import csv
import html
import io
import os
from dataclasses import dataclass
from pathlib import Path

from hybridopt._files import write_text
from hybridopt.compare.paths import path_of


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; `str` of it is plain text in columns.

    Attributes:
        header: One name a column.
        rows: One text a column.
        notes: How to read it.

    Example:
        >>> print(Table(("method", "steps"), (("adam", "10"),)))
        method  steps
        adam       10
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """As a table of GitHub's Markdown."""
        marks = ("---", *("---:" for _ in self.header[1:]))
        lines = (self.header, marks, *self.rows)
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | Path:
        """As comma-separated values.

        Args:
            path: File that is written, whole; None returns the text.

        Raises:
            OutputError: If the file cannot be written.
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows((self.header, *self.rows))
        return (
            buffer.getvalue()
            if path is None
            else write_text(path_of("path", path), buffer.getvalue())
        )

    def __str__(self) -> str:
        lines = (self.header, *self.rows)
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = []
        for line in lines:
            first, *others = line
            cells = [first.ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            text.append("  ".join(cells).rstrip())
        return "\n".join([*text, *self.notes])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self), quote=False)}</pre>"
