"""Signals that end the program, and its standard streams."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hybridopt._streams import SafeStream
from hybridopt.errors import OutputError

SIGNALED = 128  # of a shell: the exit code after a signal is this plus its number


@dataclass
class _Ending:
    """Signal that ends the program."""

    number: int | None = None
    is_writing: bool = False
    is_pending: bool = False  # True after a signal during writing

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, or note the signal while files are written."""
        if self.number is not None and number != signal.SIGINT:
            return  # a terminal sends several signals when it is closed
        is_first, self.number = self.number is None, number
        if self.is_writing and is_first:
            self.is_pending = True
        else:
            raise KeyboardInterrupt


_ending = _Ending()


@contextmanager
def ending_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block like Ctrl-C; signals that are ignored stay ignored."""
    global _ending  # one per program, and one per test
    _ending, before = _Ending(), {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in DEFAULTS:
                before[number] = signal.signal(number, _ending.handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


DEFAULTS: tuple[Any, ...] = (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay a signal to the end of a block (`is_signaled`); a second Ctrl-C is not delayed."""
    _ending.is_writing = True
    try:
        yield
    finally:
        _ending.is_writing = False


def is_signaled() -> bool:
    """Return True if a signal was delayed."""
    return _ending.is_pending


def exit_code() -> int:
    """Return the exit code of a shell for the signal that ended the program."""
    return SIGNALED + (_ending.number or signal.SIGINT)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Replace the standard streams in a block by streams that survive closed pipes and ASCII."""
    for descriptor in range(3):  # a file that gets the number of a closed stream would be written
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _ProgramStream(sys.stdout), _ProgramStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _ProgramStream(SafeStream):
    """Standard stream of the program; results that cannot be written are an error."""

    def _fail(self, error: Exception) -> None:
        stream = self._stream
        super()._fail(error)
        if stream is not None and any(stream is one for one in (sys.__stdout__, sys.__stderr__)):
            # Python writes the rest of its buffer at the end, which would fail again
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        is_full = isinstance(error, OSError) and not isinstance(error, BrokenPipeError)
        if is_full and stream is not sys.__stderr__:
            raise OutputError(
                f"The standard output cannot be written: {error}. Redirect it to another file."
            ) from error
