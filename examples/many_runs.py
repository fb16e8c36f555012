"""What the longer examples share: many trainings at a time, and the tables of them."""

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
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hybridopt.compare import Table


@contextmanager
def many(workers: int, chunk: int = 1) -> Iterator[Callable[..., list[Any]]]:
    """Gives ``each(run, tasks, name)``: the results in order, with a bar of that name.

    Args:
        workers: Processes with one core each; 1 is none but this.
        chunk: Tasks that a process takes at a time; neighbours share what is cached there.
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
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes have one core each
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=chunk)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard deviation; that of one number is 0."""
    numbers = list(values)
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def with_spread(values: Iterable[float]) -> str:
    """Mean and standard deviation for a table."""
    return "{:.3f} ± {:.3f}".format(*spread(values))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts with its names in the first column."""
    return Table(tuple(header), tuple(map(tuple, rows))).to_markdown() + "\n"


def write(rows: Sequence[Any], table: str, folder: Path) -> None:
    """Every run, a dataclass, to ``runs.csv``; what is told of them to ``table.md``."""
    with (folder / "runs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    (folder / "table.md").write_text(table, encoding="utf-8")
