"""Functions of the longer examples: parallel training runs, and tables of their results."""

from __future__ import annotations

import csv
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hybridopt.compare import Table

Run = TypeVar("Run")


@contextmanager
def many(workers: int, chunk: int = 1) -> Iterator[Callable[..., list[Any]]]:
    """Yield ``each(run, tasks, name)``, which returns the results in order and shows a bar.

    Args:
        workers: Number of processes with one core each; 1 for this process only.
        chunk: Number of tasks that a process receives at a time; they share its cache.
    """
    columns = (TextColumn("{task.description:<7}"), BarColumn(), MofNCompleteColumn())
    with _map(workers, chunk) as results, Progress(*columns, TimeElapsedColumn()) as bar:

        def each(run: Callable[..., Any], tasks: Sequence[Any], name: str) -> list[Any]:
            return list(bar.track(results(run, tasks), total=len(tasks), description=name))

        yield each


@contextmanager
def _map(workers: int, chunk: int) -> Iterator[Callable[..., Iterable[Any]]]:
    if workers == 1:
        yield map
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # one core per process
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=chunk)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and standard deviation, which is 0 for one value."""
    numbers = list(values)
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def with_spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation as text for a table."""
    return "{:.3f} ± {:.3f}".format(*spread(values))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with names in the first column."""
    return Table(tuple(header), tuple(map(tuple, rows))).to_markdown() + "\n"


def write(rows: Sequence[Any], table: str, folder: Path) -> None:
    """Write the runs, which are dataclasses, to ``runs.csv``, and the table to ``table.md``."""
    with (folder / "runs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    (folder / "table.md").write_text(table, encoding="utf-8")


def read(file: Path, kind: type[Run]) -> list[Run]:
    """Return the runs of a file that `write` made; an empty entry is None."""
    hints = get_type_hints(kind)
    types = {name: next(iter(get_args(hint)), hint) for name, hint in hints.items()}
    with file.open(newline="", encoding="utf-8") as lines:
        return [
            kind(**{name: types[name](text) if text else None for name, text in row.items()})
            for row in csv.DictReader(lines)
        ]
