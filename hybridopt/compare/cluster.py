"""Engine that makes the runs of a comparison on a Dask cluster."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from hybridopt.compare.resampling import Experiment
from hybridopt.compare.results import Run
from hybridopt.compare.run import make_run
from hybridopt.compare.runner import Engine, Report, Task, check_networks
from hybridopt.compare.table import counted
from hybridopt.errors import ArgumentError, ExecutionError, HybridOptError
from hybridopt.execution.dask import cluster
from hybridopt.execution.dask.cluster import (
    TIMEOUT,
    Cluster,
    TaskLostError,
    installed_versions,
    set_threads,
    this_process,
)

DEATHS = 3  # deaths of workers during a run, after which it is a failed run
SECONDS_TO_CONNECT = 10
_ONE_RUN = threading.Lock()  # runs in threads of one worker wait for each other


class DaskCluster(Engine):
    """Engine that makes each run as a task of a Dask cluster.

    A run whose worker dies starts again on another worker, with the same numbers. After `DEATHS`
    deaths it is a failed run. Deaths during other runs on the same worker do not count.
    """

    def __init__(self, client: object, timeout: float = TIMEOUT) -> None:
        self._cluster = Cluster(client, timeout)

    def run(self, experiment: Experiment, tasks: Sequence[Task], report: Report) -> Iterator[Run]:
        """Make a run for each task; closing the generator cancels the runs that have not begun."""
        check_networks(experiment, tasks, "workers lose it (leave `client` out)")
        report(counted(len(self._cluster.ready()), "worker"), 0)
        study = f"hybridopt-{uuid.uuid4()}"
        plan = _Plan(experiment, tuple(tasks), torch.get_default_dtype(), study)
        waiting = set(range(len(tasks)))
        while waiting:  # in general once; again after losses of data
            for number, run in self._runs(plan, sorted(waiting)):
                waiting.remove(number)
                yield run

    def _runs(self, plan: _Plan, numbers: Sequence[int]) -> Iterator[tuple[int, Run]]:
        """Submit runs; yield those that ended with their numbers, without those to be repeated."""
        here = this_process(), installed_versions()
        try:
            kept = self._cluster.keep(plan)
        except ArgumentError as error:
            raise _not_portable(error.__cause__ or error) from error
        places: dict[str, int] = {}

        def submitted() -> Iterator[Any]:
            for number in numbers:
                future = self._cluster.submit(_run, kept, number, *here)
                places[future.key] = number
                yield future  # not kept here, or a dead worker's finished runs would be repeated

        for future, run, failure in self._cluster.finished(submitted()):
            number = places[future.key]
            if failure is None:
                yield number, run
            elif isinstance(failure, TaskLostError):
                starts = len(self._cluster.client.get_events(plan.topic(number)))
                if starts >= DEATHS:
                    yield number, plan.failed(number, starts)
            else:
                raise failure if isinstance(failure, HybridOptError) else _not_portable(failure)


@dataclass(frozen=True)
class _Plan:
    """Runs of a comparison, as workers receive them."""

    experiment: Experiment
    tasks: tuple[Task, ...]
    dtype: torch.dtype  # networks are made with it
    study: str  # prefix of the topics that count the starts of runs

    def topic(self, number: int) -> str:
        """Return the topic of the scheduler's events to which each start of a run is added."""
        return f"{self.study}-{number}"

    def failed(self, number: int, deaths: int) -> Run:
        """Return the failed run after deaths of its workers."""
        method, seed = self.tasks[number]
        reason = (
            f"{deaths} workers died during the run. Usually memory is missing: give workers more, "
            "or lower `max_memory` of the executor (per worker)."
        )
        return Run(method.name, seed, "failed", reason)


def _run(
    plan: _Plan, number: int, client_process: tuple[str, int], versions: dict[str, str]
) -> Run:
    """Make a run on a worker; a worker that came late has not been checked yet."""
    found = installed_versions()
    if found != versions:
        raise ExecutionError(
            f"Workers must have the versions {versions} (got {found}). Install the same packages "
            "on all workers."
        )
    with _ONE_RUN:
        deaths = _count_start(plan.topic(number))
        if deaths >= DEATHS:
            return plan.failed(number, deaths)
        set_threads(client_process)
        before = torch.get_default_dtype()
        torch.set_default_dtype(plan.dtype)
        try:
            return make_run(plan.experiment, *plan.tasks[number])
        except SystemExit as error:  # would end the worker
            method, seed = plan.tasks[number]
            return Run(method.name, seed, "failed", f"{type(error).__name__}: {error}")
        finally:
            torch.set_default_dtype(before)


def _count_start(topic: str) -> int:
    """Add a start of the run to the scheduler's events; return the number of earlier starts."""
    distributed = import_module("distributed")
    worker = distributed.get_worker()

    async def count() -> int:
        earlier = await worker.scheduler.events(topic=topic)
        await worker.scheduler.log_event(topic=topic, msg=worker.address)
        return len(earlier)

    started: int = distributed.utils.sync(worker.loop, count)
    return started


def _not_portable(error: BaseException) -> ArgumentError:
    return ArgumentError(
        "Network, data, loss and executors must be picklable for workers of a cluster (got "
        f"{type(error).__name__}: {error}). Install their modules on the workers, or leave "
        "`client` out."
    )


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler for a block.

    Raises:
        MissingExtraError: If the package distributed is not installed.
        ExecutionError: If no scheduler answers at the address.
    """
    distributed = cluster._distributed()
    try:
        client = distributed.Client(address, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError, distributed.TimeoutError) as error:
        raise ExecutionError(
            f"No scheduler answers at {address!r} ({type(error).__name__}: {error}). Start one "
            "with `dask scheduler`, and give the address that it prints."
        ) from error
    with client:
        yield client
