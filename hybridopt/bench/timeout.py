"""A limit on the wall time of a call."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OvertimeError(BaseException):
    """The limit has passed; no `Exception`, so that no library takes it for one of its own."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many seconds, between two steps of Python.

    Without POSIX timers or outside of the main thread, the block is left to end by itself.

    Raises:
        OvertimeError: If the limit has passed.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise OvertimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
