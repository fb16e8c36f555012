"""Runs in other processes: one dies, the others go on."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from hybridopt.compare.methods import Method
from hybridopt.compare.plan import Plan
from hybridopt.compare.records import Run, failed
from hybridopt.compare.run_store import run_of
from hybridopt.errors import ArgumentError, ExecutionError

Task = tuple[Method, int]
JOIN_SECONDS = 10.0
THREADS = "OMP_NUM_THREADS"
WAY_OUT = (
    "Define network, data, loss and executor at the top level of a file that can be imported, or "
    "use `workers=1`."
)


def default_workers() -> int:
    """One for each core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_processes(plan: Plan, tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Run]]:
    """Make runs in fresh processes.

    Args:
        plan: Of all runs.
        tasks: Method and seed of each.
        workers: How many processes there are at a time.

    Yields:
        Position of a task and its run, as they end. A run whose process died has failed.

    Raises:
        ArgumentError: If the plan cannot be sent to another process.
        ExecutionError: If no process can be started.
    """
    packed = _packed(plan, tasks)
    waiting = deque(range(len(tasks)))
    crew: list[_Worker] = []
    try:
        while waiting or any(worker.task is not None for worker in crew):
            busy = sum(worker.task is not None for worker in crew)
            while len(crew) < min(workers, len(waiting) + busy):
                crew.append(_start(packed, plan.threads))
            for worker in _awake(crew):
                answer = worker.listen()
                if worker.task is not None and answer is not None:
                    yield worker.task, answer
                    worker.task = None
                if worker.dead:
                    crew.remove(worker)
                elif waiting and worker.task is None:
                    worker.give(waiting.popleft())
    finally:
        for worker in crew:
            worker.end()


@dataclass
class _Worker:
    """A process, and what it is at."""

    process: BaseProcess
    connection: Connection
    tasks: Sequence[Task]
    ready: bool = False
    dead: bool = False
    task: int | None = None

    def listen(self) -> Run | None:
        """The run it has finished, or the failure that its death is."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            return self._mourn()
        if kind == "ready":
            self.ready = True
            return None
        if kind == "refused":
            raise ArgumentError(
                f"The comparison cannot be sent to other processes: {content}. {WAY_OUT}"
            )
        return run_of(content)

    def give(self, task: int) -> None:
        """Let it make a run."""
        self.task = task
        with suppress(OSError):  # it died already, which its silence will tell
            self.connection.send(task)

    def end(self) -> None:
        """Stop it, whatever it is at."""
        self.process.terminate()
        self.process.join(JOIN_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()

    def _mourn(self) -> Run | None:
        self.process.join(JOIN_SECONDS)
        self.connection.close()
        self.dead = True
        code = self.process.exitcode or 0
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        if not self.ready:
            raise ExecutionError(
                f"A process for runs ended with {how} before it could begin. In a script, compare "
                'under `if __name__ == "__main__":`, or use `workers=1`.'
            )
        if self.task is None:
            return None
        method, seed = self.tasks[self.task]
        return failed(method.name, seed, f"The process of the run ended with {how}.")


@dataclass(frozen=True)
class _Packed:
    tasks: Sequence[Task]
    content: bytes


def _packed(plan: Plan, tasks: Sequence[Task]) -> _Packed:
    try:
        return _Packed(tasks, pickle.dumps((plan, list(tasks), torch.get_default_dtype())))
    except Exception as error:  # what the user's own classes raise, too
        raise ArgumentError(
            "The comparison cannot be sent to other processes: "
            f"{type(error).__name__}: {error}. {WAY_OUT}"
        ) from error


def _start(packed: _Packed, threads: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,), daemon=True)
    with _threads(threads):
        process.start()
    theirs.close()
    with suppress(OSError):  # it died already, which its silence will tell
        ours.send_bytes(packed.content)
    return _Worker(process, ours, packed.tasks)


def _awake(crew: Sequence[_Worker]) -> list[_Worker]:
    """Wait until some have something to say."""
    by_connection = {worker.connection: worker for worker in crew}
    return [by_connection[found] for found in wait(list(by_connection))]  # type: ignore[index]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes that start here have so many threads, which OpenMP reads from the environment."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def work(connection: Connection) -> None:
    """What a process does: receive the plan, then make runs until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    content = connection.recv_bytes()
    try:
        plan, tasks, dtype = pickle.loads(content)  # noqa: S301  # from our own parent
        torch.set_default_dtype(dtype)  # of networks and weights that the run makes
    except Exception as error:  # noqa: BLE001  # told to the parent, who raises
        connection.send(("refused", f"{type(error).__name__}: {error}"))
        return
    connection.send(("ready", None))
    while True:
        try:
            method, seed = tasks[connection.recv()]
            connection.send(("run", plan.run(method, seed).to_dict()))
        except (EOFError, OSError):  # the parent is gone, and nobody waits for the run
            return
