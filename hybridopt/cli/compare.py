"""The command `hybridopt compare`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.text import Text

from hybridopt.cli import options
from hybridopt.cli.options import opt
from hybridopt.cli.output import interruptible, plain_table, print_json
from hybridopt.compare import Study, Table, compare
from hybridopt.compare.budget import DEFAULT_EPOCHS
from hybridopt.compare.table import counted
from hybridopt.compare.tuning import DEFAULT_TRIALS
from hybridopt.execution import AerExecutor


def command(
    method: Annotated[
        list[str],
        opt(
            '"adam", "memory+adam", "twin+adam", or a chain such as '
            '"adam:3 > memory+adam:5 > adam:10"; once for each method.'
        ),
    ],
    data: options.Data = "digits",
    network: options.Network = "auto",
    budget: Annotated[
        str | None,
        opt(
            'Of each method: "10 epochs", "30 seconds", "5000 settings", "1e6 shots", or '
            f'several: "10 epochs, 1e6 shots". Without, that of the chains, or {DEFAULT_EPOCHS} '
            "epochs."
        ),
    ] = None,
    seeds: Annotated[int, opt("How many, at least 2.")] = 5,
    seed: Annotated[int, opt("The first of them.")] = 0,
    tuning: Annotated[int, opt("Trials of the rate, per method and seed.")] = DEFAULT_TRIALS,
    control: Annotated[str | None, opt("Method that the others are compared with.")] = None,
    reach: Annotated[float | None, opt('Test metric of the column "steps to".')] = None,
    shots: options.Shots = None,
    workers: Annotated[int | None, opt("Processes; without, one for each core.")] = None,
    output: Annotated[Path, opt("For runs, study and report.")] = Path("results/compare"),
    resume: Annotated[
        str | None,
        opt(
            '"force" takes over finished runs in the folder though settings, versions or code '
            "have changed."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare ways to train a network: same data, budget and tuning, over several seeds.

    Finished runs are kept in the folder, so the same command goes on where it was interrupted. A
    folder belongs to one comparison.
    """
    executor = None if shots is None else AerExecutor(shots=shots)

    def kept() -> str:
        runs = counted(len(list((output / "runs").glob("[!.]*.json"))), "finished run")
        return f"{output} holds {runs}; the same command goes on there."

    with interruptible(kept):
        study = compare(
            network, data, methods=method, budget=budget,
            seeds=range(seed, seed + max(0, seeds)), tuning=tuning, control=control, reach=reach,
            executor=executor, output=output,
            resume=True if resume is None else resume,  # type: ignore[arg-type]
            workers=workers, progress=not as_json,
        )  # fmt: skip
    if as_json:
        print_json(study.to_dict())
    else:
        _show(study, output)


def _show(study: Study, output: Path) -> None:
    console = Console()
    table = study.table()
    console.print(Text(f"{study.data}: {study.budget} for each method", style="bold"))
    for columns in _parts(table, console.width):
        header, *rows = ([row[n] for n in columns] for row in (table.header, *table.rows))
        styles = ["bold" if row[0] == study.control else None for row in rows]
        console.print(plain_table(header, rows, styles=styles))
    for note in table.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)
    if study.ranked():
        console.print(Text(f"For accuracy, {study.recommend()}"), soft_wrap=True)
    console.print(f"Report: {shlex.quote(str(output / 'report.html'))}", soft_wrap=True)


def _parts(table: Table, width: int) -> list[list[int]]:
    """Columns that stand side by side; where the terminal is narrow, what is spent comes below."""
    everything = list(range(len(table.header)))
    if max(map(len, str(replace(table, notes=())).splitlines())) <= width:
        return [everything]
    return [everything[:3], [0, *everything[3:]]]
