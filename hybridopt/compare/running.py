"""All runs of a comparison: those that are stored are read, the others made and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hybridopt.compare.plan import Plan
from hybridopt.compare.records import Run
from hybridopt.compare.storage import RunFiles
from hybridopt.compare.workers import Task, run_in_processes

Told = Callable[[str, int], None]  # what runs now, and how many have ended since


def all_runs(
    plan: Plan,
    tasks: Sequence[Task],
    files: RunFiles | None,
    *,
    workers: int,
    progress: bool,
) -> tuple[Run, ...]:
    """The runs of all tasks, in their order.

    Args:
        plan: Of all runs.
        tasks: Method and seed of each.
        files: Finished runs are read from there and written there, each as soon as it ends; None
            keeps nothing.
        workers: Processes; 1 is this one.
        progress: Show a bar.

    Raises:
        CheckpointError: If a stored run is damaged.
        KeyboardInterrupt: On Ctrl-C, with finished runs written.
    """
    settings = _settings(plan, tasks) if files is not None else [{}] * len(tasks)
    runs: dict[int, Run] = {}
    if files is not None:
        for position, (method, seed) in enumerate(tasks):
            stored = files.load(method.name, seed, settings[position])
            if stored is not None:
                runs[position] = stored
    missing = [position for position in range(len(tasks)) if position not in runs]
    with _bar(len(tasks), len(runs), shown=progress) as tell:
        for found, run in _made(plan, [tasks[position] for position in missing], workers, tell):
            position = missing[found]
            if files is not None:
                files.save(run, settings[position])
            runs[position] = run
            tell("", 1)
    return tuple(runs[position] for position in range(len(tasks)))


def _settings(plan: Plan, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    of_seed = {seed: plan.seed_settings(seed) for seed in {seed for _, seed in tasks}}
    return [{"method": method.to_dict(), **of_seed[seed]} for method, seed in tasks]


def _made(plan: Plan, tasks: Sequence[Task], workers: int, tell: Told) -> Iterator[tuple[int, Run]]:
    if workers > 1 and tasks:
        tell(f"{min(workers, len(tasks))} processes", 0)
        yield from run_in_processes(plan, tasks, workers)
        return
    for position, (method, seed) in enumerate(tasks):
        tell(f"{method.name}, seed {seed}", 0)
        yield position, plan.run(method, seed)


def _bar(total: int, done: int, *, shown: bool) -> AbstractContextManager[Told]:
    return _shown_bar(total, done) if shown else nullcontext(lambda _what, _ended: None)


@contextmanager
def _shown_bar(total: int, done: int) -> Iterator[Told]:
    columns = (
        TextColumn("runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("", total=total, completed=done)

        def tell(what: str, ended: int) -> None:
            bar.update(task, advance=ended, description=what or None)

        yield tell
