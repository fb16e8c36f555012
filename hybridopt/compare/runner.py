"""All runs of a comparison, made by an engine in this process or in other processes."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from hybridopt._copies import check_no_tensor_hooks
from hybridopt._streams import shows_progress
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.results import Run
from hybridopt.compare.run import make_run
from hybridopt.compare.run_store import RunStore, settings_of
from hybridopt.errors import ArgumentError, ExecutionError

Task = tuple[Method, int]
Report = Callable[[str, int], None]  # description of the current run, number of finished runs
THREADS = "OMP_NUM_THREADS"
# signals that end a program, often sent to its workers, too
ENDING = {getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)}
SECONDS_TO_END = 0.5
_STARTING = threading.Lock()  # the environment belongs to all threads


class Engine(ABC):
    """Interface of engines, which make runs."""

    @abstractmethod
    def run(self, experiment: Experiment, tasks: Sequence[Task], report: Report) -> Iterator[Run]:
        """Make a run for each task, a method with a seed; tasks are independent.

        Runs are yielded as they finish; an error gives a failed run. Closing the generator ends all
        processes. ``report`` updates the progress bar.
        """


def check_networks(experiment: Experiment, tasks: Sequence[Task], reason: str) -> None:
    """Raise an error for a network that would lose its hooks on the way to another process."""
    for network in (experiment.network, *(method.network for method, _ in tasks)):
        if isinstance(network, nn.Module):
            check_no_tensor_hooks(network, reason)


class InProcess(Engine):
    """Engine that makes one run after the other in this process."""

    def run(self, experiment: Experiment, tasks: Sequence[Task], report: Report) -> Iterator[Run]:
        """Make a run for each task, in their order."""
        for method, seed in tasks:
            report(f"{method.name}, seed {seed}", 0)
            yield make_run(experiment, method, seed)


class ProcessPools(Engine):
    """Engine with several processes, each in its own pool, so that a crash affects one run."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, experiment: Experiment, tasks: Sequence[Task], report: Report) -> Iterator[Run]:
        """Make a run for each task; a crash of its process gives a failed run."""
        count = min(self._workers, len(tasks))
        report(f"{count} processes", 0)
        waiting, busy = deque(tasks), dict[Future[Run | None], _Worker]()
        check_networks(experiment, tasks, "other processes lose it (use `workers=1`)")
        try:
            pickle.dumps(tasks)
            content = pickle.dumps((experiment, torch.get_default_dtype()))
        except Exception as error:  # including errors of the user's classes
            raise _not_picklable(error) from error
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "experiment.pickle"
            file.write_bytes(content)
            try:
                for _ in range(count):
                    worker = _Worker(file, experiment.threads)
                    busy[worker.started] = worker
                while busy:
                    for future in wait(busy, return_when=FIRST_COMPLETED).done:
                        worker = busy.pop(future)
                        run = worker.run_of(future)
                        if waiting and (given := worker.give(waiting[0])) is not None:
                            waiting.popleft()
                            busy[given] = worker
                        else:
                            worker.shutdown()
                            if waiting:
                                worker = _Worker(file, experiment.threads)
                                busy[worker.started] = worker
                        if run is not None:
                            yield run
            finally:
                for worker in busy.values():
                    worker.kill()


class _Worker(ProcessPoolExecutor):
    """Pool of one process with its current task."""

    def __init__(self, file: Path, threads: int) -> None:
        super().__init__(1, multiprocessing.get_context("spawn"), initializer=_prepare)
        self._file = file
        self._task: Task | None = None
        with _STARTING:
            before = os.environ.get(THREADS)
            os.environ[THREADS] = str(threads)  # OpenMP reads it when a process starts
            try:  # errors of unpickling are raised before the first run
                self.started: Future[Run | None] = self.submit(_run, file, None)
            finally:
                del os.environ[THREADS]
                if before is not None:
                    os.environ[THREADS] = before
        (self._process,) = self._processes.values()  # the pool removes a process that ended

    def give(self, task: Task) -> Future[Run | None] | None:
        """Submit a run; return None if the process has ended."""
        self._task = task
        try:
            return self.submit(_run, self._file, task)
        except RuntimeError:  # the pool is broken or shut down
            return None

    def run_of(self, future: Future[Run | None]) -> Run | None:
        """Return the finished or failed run; None after the start of the process."""
        error = future.exception()
        if error is None:
            return future.result()
        reason = f"{type(error).__name__}: {error}"  # a pickling error or SystemExit
        self.shutdown()
        if isinstance(error, BrokenProcessPool):
            code = self._process.exitcode or 0
            if -code in ENDING:  # sent to all processes: this one is interrupted, too
                time.sleep(SECONDS_TO_END)
            signalled = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else ""
            how = signalled or f"exit code {code}"
            reason = f"The process of the run ended with {how}."
        if self._task is not None:
            return Run(self._task[0].name, self._task[1], "failed", reason)
        if not isinstance(error, BrokenProcessPool):
            raise _not_picklable(error) from error
        raise ExecutionError(
            f"A process for runs ended with {how} before its first run. In a script, guard the "
            'call with `if __name__ == "__main__":`, or use `workers=1`.'
        ) from error

    def kill(self) -> None:
        """End the process immediately."""
        self._process.kill()
        self.shutdown()


def _not_picklable(error: BaseException) -> ArgumentError:
    return ArgumentError(
        "Network, data, loss and executor must be picklable for several processes (got "
        f"{type(error).__name__}: {error}). Define them at the top level of a module, or use "
        "`workers=1`."
    )


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@functools.cache
def _experiment(file: Path) -> Experiment:
    experiment, dtype = pickle.loads(file.read_bytes())  # noqa: S301  # written by the parent
    torch.set_default_dtype(dtype)  # networks are made with it
    return experiment  # type: ignore[no-any-return]


def _run(file: Path, task: Task | None) -> Run | None:
    experiment = _experiment(file)
    return None if task is None else make_run(experiment, *task)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_runs(
    experiment: Experiment, methods: Sequence[Method], seeds: Sequence[int],
    store: RunStore | None, resume: bool | str, engine: Engine, progress: bool | None,
) -> tuple[Run, ...]:  # fmt: skip
    """Return the runs of all methods and seeds in order; the store has the finished ones."""
    runs = {} if store is None else store.open(settings_of(experiment, methods, seeds), resume)
    tasks = [(method, seed) for method in methods for seed in seeds]
    missing = [(method, seed) for method, seed in tasks if (method.name, seed) not in runs]
    with _bar(len(tasks), len(tasks) - len(missing), progress) as report:
        for run in engine.run(experiment, missing, report) if missing else ():
            if store is not None:
                store.save(run)
            runs[run.method, run.seed] = run
            report("", 1)
    return tuple(runs[method.name, seed] for method, seed in tasks)


@contextmanager
def _bar(total: int, done: int, progress: bool | None) -> Iterator[Report]:
    shown = shows_progress() if progress is None else progress
    if not shown:
        yield lambda *_: None
        return
    from rich.progress import TextColumn, TimeElapsedColumn

    from hybridopt._progress import progress_bar

    last = TextColumn("{task.description}", markup=False)
    with progress_bar("runs", TimeElapsedColumn(), last, automatic=progress is None) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda what, ended: bar.update(task, advance=ended, description=what or None)
