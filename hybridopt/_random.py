"""Random generators: blocks with a seed that leave the global state unchanged, in all threads."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

SLICE = 0.01  # [s] shortest turn of a thread; a change of turns takes up to 1 ms
PATIENCE = 0.5  # [s] time before a waiting thread borrows a turn

_State = tuple[Any, ...]  # of torch on the CPU and on GPUs, numpy and Python


def global_state() -> dict[str, Any]:
    """Return the state of the generators of torch (CPU), numpy and Python as plain types."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }


def restore_global_state(state: dict[str, Any]) -> None:
    """Restore a state of `global_state`."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        (name, np.asarray(keys, dtype=np.uint32), position, has_gauss, cached)
    )
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


class _Turns:
    """Turns of threads at the global generators, which a process has only once.

    A thread in an `isolated` block waits for its turn and keeps it until it gives way or leaves
    the block. Without its turn, a thread keeps its state of the generators here.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: int | None = None  # thread that has the turn
        self._waiting: deque[int] = deque()
        self._inside: set[int] = set()  # threads in a block, with or without the turn
        self._states: dict[int, _State] = {}  # of threads in a block without the turn
        self._outside: _State = ()  # state before the first block, restored after the last one
        self._since = 0.0  # start of the turn [s]
        self._lent: float | None = None  # start of the owner's callback [s]
        self._lenders: list[int] = []  # threads whose turn was borrowed, the last one first back

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the turn for a block, and restore the state of the generators afterwards."""
        me = threading.get_ident()
        if me not in self._inside:
            try:
                with self._changed:
                    self._take(me)
                yield
            finally:
                if me in self._inside:  # not after an interrupted wait
                    self._leave(me)
            return
        in_callback = self._lent is not None or me in self._lenders
        self._reclaim(me)
        before = _capture()
        try:
            yield
        finally:
            _install(before)
            self._lent = time.monotonic() if in_callback else None

    def is_over(self) -> bool:
        """Return True if this thread has had its turn and other threads wait for theirs."""
        return (
            bool(self._waiting)
            and self._owner == threading.get_ident()
            and time.monotonic() - self._since >= SLICE
        )

    def give_way(self) -> None:
        """Let other threads have their turns; returns with the next own turn."""
        me = threading.get_ident()
        with self._changed:
            self._states[me], self._owner = _capture(), None
            self._changed.notify_all()
            self._take(me)

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Let other threads borrow the turn during a block that takes longer than PATIENCE."""
        me = threading.get_ident()
        if self._owner != me:
            yield
            return
        self._lent = time.monotonic()
        try:
            yield
        finally:
            self._reclaim(me)

    def after_fork(self) -> None:
        """Restore the caller's state in a new process if another thread had the turn."""
        if self._outside and self._owner != threading.get_ident():
            _install(self._outside)

    def _reclaim(self, me: int) -> None:
        """End lending; wait for the turn if it is borrowed."""
        with self._changed:
            if self._owner == me:
                self._lent = None
                return
            self._lenders.remove(me)
            self._take(me)

    def _take(self, me: int) -> None:
        """Wait for the turn, and install this thread's state."""
        interrupted: KeyboardInterrupt | None = None
        self._waiting.append(me)
        while self._waiting[0] != me or (self._owner is not None and not self._borrowed()):
            try:
                self._changed.wait(PATIENCE)
            except KeyboardInterrupt as error:
                if me not in self._inside:
                    self._waiting.remove(me)
                    self._changed.notify_all()
                    raise
                interrupted = error  # the block ends with its own state
        self._waiting.popleft()
        is_first, self._owner, self._lent = not self._inside, me, None
        self._inside.add(me)
        self._since = time.monotonic()
        if me in self._states:
            _install(self._states.pop(me))
        elif is_first:
            self._outside = _capture()
        if interrupted is not None:
            raise interrupted

    def _borrowed(self) -> bool:
        """Store the owner's state and return True if its callback has taken too long."""
        if self._lent is None or time.monotonic() - self._lent < PATIENCE:
            return False
        assert self._owner is not None
        self._states[self._owner] = _capture()
        self._lenders.append(self._owner)
        return True

    def _leave(self, me: int) -> None:
        with self._changed:
            self._inside.remove(me)
            paused = any(one in self._inside for one in self._waiting)
            lender = self._lenders.pop() if self._lenders and not paused else None
            try:
                if lender is not None:
                    _install(self._states.pop(lender))
                elif not self._inside:
                    _install(self._outside)
                    self._outside = ()
            finally:
                self._owner = lender
                self._lent = None if lender is None else time.monotonic()
                self._changed.notify_all()


_turns = _Turns()


def _renew_turns() -> None:
    global _turns  # the locks of other threads are not released after a fork
    before, _turns = _turns, _Turns()
    before.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)


@contextmanager
def isolated(seed: int | None) -> Iterator[None]:
    """Seed the global generators for a block (None: randomly), then restore their state.

    Blocks of several threads exclude each other, except where a block gives way (`give_way`). Each
    block draws the numbers that it draws alone. Threads outside of a block are not held back: what
    they draw during a block of another thread comes from its generators and changes its numbers.
    """
    with _turns.hold():
        value = int(np.random.SeedSequence(seed).generate_state(1)[0])
        _seed_torch(value)
        np.random.seed(value)  # noqa: NPY002
        random.seed(value)
        yield


def _seed_torch(value: int) -> None:
    """Seed the generators of the CPU and of the devices that exist.

    ``torch.manual_seed`` stores its stack of calls for every kind of device that is missing, which
    takes 2 ms and memory that is never released.
    """
    if any(device.is_available() for device in (torch.cuda, torch.backends.mps, torch.xpu)):
        torch.manual_seed(value)
    else:
        torch.default_generator.manual_seed(value)


def give_way(pause: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
    """Let blocks of other threads continue, inside of ``pause()``.

    Without effect, and without ``pause``, if no other block waits, and outside of a block.
    """
    if _turns.is_over():
        with pause():
            _turns.give_way()


def lent() -> AbstractContextManager[None]:
    """Return a context for code of the user in a block, which may wait for blocks of other threads.

    A block of another thread starts here when it has waited for `PATIENCE`. Otherwise, a callback
    that waits for the training of another thread would wait forever.
    """
    return _turns.lend()


def _capture() -> _State:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    return torch.get_rng_state(), cuda, numpy, random.getstate()


def _install(state: _State) -> None:
    cpu, cuda, numpy, python = state
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    np.random.set_state(numpy)  # noqa: NPY002
    random.setstate(python)
