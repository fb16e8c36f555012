"""Standard streams that never end a computation: closed pipes, full disks and ASCII."""

from __future__ import annotations

import os
import sys
import unicodedata
from multiprocessing import parent_process
from typing import Any

# of circuits in text
PLAIN = {"■": "@", "○": "o", "░": ":", "π": "pi", "—": "-", "→": "->"}
DUMB = {"dumb", "unknown"}  # terminals that cannot move the cursor


class SafeStream:
    """Text stream in place of a standard stream, whose errors do not reach the writer.

    Letters that the encoding does not have are replaced. After an error, such as a pipe whose
    reader has ended, further text is dropped. The stream is None if it was closed before the
    start of Python.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """Name of the encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        if self._stream is not None:
            try:
                self._stream.write(in_encoding(text, self.encoding))
            except (OSError, ValueError) as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Write the buffered text."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def isatty(self) -> bool:
        """Return True for a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return int(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fail(self, error: Exception) -> None:
        self._stream = None


def in_encoding(text: str, encoding: str) -> str:
    """Return a text whose letters an encoding has; lines of drawings become ``-``, ``|``, ``+``."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_in_encoding(letter, encoding) for letter in text)
    return text


def _in_encoding(letter: str, encoding: str) -> str:
    plain, name = PLAIN.get(letter, letter), unicodedata.name(letter, "")
    if name.startswith("BOX DRAWINGS"):
        is_flat, is_tall = "HORIZONTAL" in name, "VERTICAL" in name
        plain = "+" if is_flat == is_tall else "-" if is_flat else "|"
    for form in (letter, unicodedata.normalize("NFKD", plain)):
        shown = form.encode(encoding, "ignore").decode(encoding)
        if shown:
            return shown
    return "?"


def in_notebook() -> bool:
    """Return True if the output of this process goes to the cells of a notebook."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return hasattr(shell, "kernel")


def shows_progress() -> bool:
    """Return True if ``progress=None`` shows a bar: in a terminal and in a notebook.

    Processes that a program starts for its work, such as those of a data loader, show none.
    """
    if parent_process() is not None:
        return False
    in_terminal = SafeStream(sys.stderr).isatty() and os.environ.get("TERM") not in DUMB
    return in_terminal or in_notebook()
