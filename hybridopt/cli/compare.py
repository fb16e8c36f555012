"""Command `hybridopt compare`."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.text import Text

from hybridopt.cli import options
from hybridopt.cli.options import opt
from hybridopt.cli.output import interruptible, plain_table, print_json
from hybridopt.compare import Study, compare
from hybridopt.compare.budget import DEFAULT_EPOCHS
from hybridopt.compare.cluster import connected
from hybridopt.compare.run_store import with_digest
from hybridopt.compare.table import counted
from hybridopt.compare.tuning import DEFAULT_TRIALS
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor


def command(
    method: Annotated[
        list[str],
        opt('"adam", "memory+adam" or a chain "adam:3 > memory+adam:5 > adam:10"; repeatable.'),
    ],
    data: options.Data = "digits",
    network: options.Network = "auto",
    budget: Annotated[
        str | None,
        opt(f'Limits per method, as "10 epochs, 1e6 shots"; default: {DEFAULT_EPOCHS} epochs.'),
    ] = None,
    seeds: Annotated[int, opt("Number of seeds, at least 2.")] = 5,
    seed: Annotated[int, opt("First seed.")] = 0,
    tuning: Annotated[int, opt("Learning rates tried per method and seed.")] = DEFAULT_TRIALS,
    control: Annotated[str | None, opt("Method that the others are compared to.")] = None,
    reach: Annotated[float | None, opt('Test metric for the column "steps to".')] = None,
    shots: options.Shots = None,
    device: options.Device = None,
    workers: Annotated[int | None, opt("Number of processes; one per core by default.")] = None,
    scheduler: Annotated[
        str | None, opt("Address of a Dask scheduler, whose workers make the runs.")
    ] = None,
    output: Annotated[Path, opt("Folder for runs, study and report.")] = Path("results/compare"),
    resume: Annotated[str | None, opt('"force" to reuse runs despite changes.')] = None,
    as_json: options.Json = False,
) -> None:
    """Compare ways to train a network, with equal data, budget and tuning.

    Finished runs are kept in the folder, so that the same command continues an interrupted
    comparison. A folder belongs to one comparison.
    """
    executor = None
    if shots is not None or device is not None:
        executor = AerExecutor(device or "CPU", shots=shots)

    def kept() -> str:
        runs = counted(len(list((output / "runs").glob("[!.]*.json"))), "finished run")
        return f"{output} contains {runs}. Run the same command again to continue"

    if scheduler is not None and workers is not None:
        raise ArgumentError(
            "`--workers` must be left out with `--scheduler`, whose workers make the runs (got "
            f"{workers})."
        )
    with (
        interruptible(kept),
        nullcontext() if scheduler is None else connected(scheduler) as client,
    ):
        study = compare(
            network, data, methods=method, budget=budget,
            seeds=range(seed, seed + seeds), tuning=tuning, control=control, reach=reach,
            executor=executor, output=output,
            resume=True if resume is None else resume,  # type: ignore[arg-type]
            workers=workers if client is None else 1, client=client, progress=not as_json,
        )  # fmt: skip
    if as_json:
        print_json(with_digest(study.to_dict()))  # as in study.json
    else:
        _show(study, output)


def _show(study: Study, output: Path) -> None:
    console = Console()
    table = study.table()
    console.print(Text(f"{study.data}: {study.budget} per method", style="bold"))
    every = list(range(len(table.header)))
    fits = max(map(len, str(replace(table, notes=())).splitlines())) <= console.width
    for columns in [every] if fits else [every[:3], [0, *every[3:]]]:
        header, *rows = ([row[n] for n in columns] for row in (table.header, *table.rows))
        styles = ["bold" if row[0] == study.control else None for row in rows]
        console.print(plain_table(header, rows, styles=styles))
    for note in table.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)
    if study.ranked():
        console.print(Text(f"For accuracy, {study.recommend()}"), soft_wrap=True)
    console.print(f"Report: {shlex.quote(str(output / 'report.html'))}", soft_wrap=True)
