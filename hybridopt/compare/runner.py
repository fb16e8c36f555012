"""All runs of a comparison, made by an engine: in this process, or in others that may die."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch

from hybridopt.compare.methods import Method
from hybridopt.compare.results import Run, failed
from hybridopt.compare.run import Experiment
from hybridopt.compare.run_store import RunStore, settings_of
from hybridopt.errors import ArgumentError, ExecutionError

Task = tuple[Method, int]
Tell = Callable[[str, int], None]  # what runs now, and how many have ended since
THREADS = "OMP_NUM_THREADS"
WAY_OUT = (
    "Define network, data, loss and executor at the top level of a file that can be imported, or "
    "use `workers=1`."
)


class Engine(ABC):
    """A place where runs are made."""

    @abstractmethod
    def run(self, experiment: Experiment, tasks: Sequence[Task], tell: Tell) -> Iterator[Run]:
        """Make a run for each task.

        Args:
            experiment: Of all runs.
            tasks: Method and seed of each; none depends on another.
            tell: Takes what runs now, for the progress bar.

        Yields:
            The runs, in the order in which they end. A run that broke has failed. A generator that
            is closed, or raises, leaves nothing running.
        """


class InProcess(Engine):
    """One run after the other, in this process."""

    def run(self, experiment: Experiment, tasks: Sequence[Task], tell: Tell) -> Iterator[Run]:
        """Make a run for each task, in their order."""
        for method, seed in tasks:
            tell(f"{method.name}, seed {seed}", 0)
            yield experiment.run(method, seed)


class ProcessPools(Engine):
    """Fresh processes, each the only one of its pool, so that a pool that breaks names its run.

    Args:
        workers: How many processes there are at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, experiment: Experiment, tasks: Sequence[Task], tell: Tell) -> Iterator[Run]:
        """Make a run for each task; one whose process died has failed.

        Raises:
            ArgumentError: If the experiment cannot be sent to another process.
            ExecutionError: If no process can be started.
        """
        count = min(self._workers, len(tasks))
        tell(f"{count} processes", 0)
        waiting = deque(range(len(tasks)))
        pools: dict[Future[Run | None], _Pool] = {}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tasks.pickle"
            file.write_bytes(_pickled(experiment, tasks))
            try:
                for _ in range(count):
                    _start(pools, file, experiment.threads)
                while pools:
                    for future in wait(pools, return_when=FIRST_COMPLETED).done:
                        pool = pools.pop(future)
                        run = pool.run_of(future, tasks)
                        if waiting and pool.give(waiting[0]):
                            waiting.popleft()
                            pools[pool.future] = pool
                        else:
                            pool.close()
                            if waiting:
                                _start(pools, file, experiment.threads)
                        if run is not None:
                            yield run
            finally:
                for pool in pools.values():
                    pool.kill()


class _Pool:
    """A pool of one process, and what it is at: its start, then one task after the other."""

    def __init__(self, file: Path, threads: int) -> None:
        self._file = file
        self._position: int | None = None
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, initializer=_prepare)
        before = multiprocessing.active_children()
        with _threads(threads):
            self.future: Future[Run | None] = self._pool.submit(_start_up, file)
        (self._process,) = set(multiprocessing.active_children()) - set(before)

    def give(self, position: int) -> bool:
        """Let it make a run; False if its process is gone."""
        try:
            self.future = self._pool.submit(_run, self._file, position)
        except BrokenProcessPool:
            return False
        self._position = position
        return True

    def run_of(self, future: Future[Run | None], tasks: Sequence[Task]) -> Run | None:
        """The run that ended, or the failure that the death of its process is; None at the start.

        Raises:
            ArgumentError, ExecutionError: Where the process could not start.
        """
        error = future.exception()
        if error is None:
            return future.result()
        reason = f"{type(error).__name__}: {error}"  # it cannot be sent back, or is a SystemExit
        if isinstance(error, BrokenProcessPool):
            self.close()
            reason = f"The process of the run ended with {self._end()}."
        if self._position is not None:
            method, seed = tasks[self._position]
            return failed(method.name, seed, reason)
        self.close()
        if not isinstance(error, BrokenProcessPool):
            raise _not_sent(error) from error
        raise ExecutionError(
            f"A process for runs ended with {self._end()} before it could begin. In a script, "
            'compare under `if __name__ == "__main__":`, or use `workers=1`.'
        ) from error

    def close(self) -> None:
        """Let the process end; it has nothing to do."""
        self._pool.shutdown()

    def kill(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._pool.shutdown()

    def _end(self) -> str:
        code = self._process.exitcode or 0
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"


def _start(pools: dict[Future[Run | None], _Pool], file: Path, threads: int) -> None:
    pool = _Pool(file, threads)
    pools[pool.future] = pool


def _pickled(experiment: Experiment, tasks: Sequence[Task]) -> bytes:
    try:
        return pickle.dumps((experiment, list(tasks), torch.get_default_dtype()))
    except Exception as error:  # what the user's own classes raise, too
        raise _not_sent(error) from error


def _not_sent(error: BaseException) -> ArgumentError:
    return ArgumentError(
        f"The comparison cannot be sent to other processes: {type(error).__name__}: {error}. "
        f"{WAY_OUT}"
    )


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


# -- in the other processes


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@functools.cache
def _load(file: Path) -> tuple[Experiment, list[Task]]:
    experiment, tasks, dtype = pickle.loads(file.read_bytes())  # noqa: S301  # from our parent
    torch.set_default_dtype(dtype)  # of networks and weights that the run makes
    return experiment, tasks


def _start_up(file: Path) -> None:
    """Read what is to be done, so that what cannot be read is told before any run."""
    _load(file)


def _run(file: Path, position: int) -> Run:
    experiment, tasks = _load(file)
    return experiment.run(*tasks[position])


# -- in this one


def default_workers() -> int:
    """One for each core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def all_runs(
    experiment: Experiment,
    methods: Sequence[Method],
    seeds: Sequence[int],
    store: RunStore | None,
    *,
    resume: bool | str,
    workers: int,
    progress: bool,
) -> tuple[Run, ...]:
    """The runs of all methods with all seeds, method by method.

    Args:
        experiment: Of all runs.
        methods: In order.
        seeds: In order.
        store: Finished runs are read from there and written there, each as soon as it ends; None
            keeps nothing.
        resume: Which stored runs are taken, as `RunStore.open` says.
        workers: Processes; 1 is this one.
        progress: Show a bar.

    Raises:
        CheckpointError: If a stored run is damaged, or the folder is that of another comparison.
        KeyboardInterrupt: On Ctrl-C, with finished runs written.
    """
    runs = {}
    if store is not None:
        runs = store.open(settings_of(experiment, methods, seeds), resume)
    tasks = [(method, seed) for method in methods for seed in seeds]
    missing = [(method, seed) for method, seed in tasks if (method.name, seed) not in runs]
    engine = InProcess() if workers == 1 or not missing else ProcessPools(workers)
    with _bar(len(tasks), len(tasks) - len(missing), shown=progress) as tell:
        for run in engine.run(experiment, missing, tell):
            if store is not None:
                store.save(run)
            runs[run.method, run.seed] = run
            tell("", 1)
    return tuple(runs[method.name, seed] for method, seed in tasks)


@contextmanager
def _bar(total: int, done: int, *, shown: bool) -> Iterator[Tell]:
    from rich import progress as rich  # noqa: PLC0415

    columns = (
        rich.TextColumn("runs"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.description}", markup=False),
    )
    with rich.Progress(*columns, disable=not shown) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda what, ended: bar.update(task, advance=ended, description=what or None)
