"""The command `hybridopt bench`: lists with commas or repeated options, as settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybridopt import _validation, bench
from hybridopt._files import output_folder
from hybridopt.bench import tables
from hybridopt.bench.peers import peer_names
from hybridopt.bench.problem import BUILDERS
from hybridopt.bench.training_suite import training_rows
from hybridopt.cli import options
from hybridopt.cli.options import number, opt
from hybridopt.cli.output import interruptible, plain_table, print_json
from hybridopt.errors import ArgumentError
from hybridopt.execution.aer.executor import METHODS, PRECISIONS
from hybridopt.gradients import GRADIENTS

SUITES = ("simulators", "training", "all")
EXACT = "exact"
Words = list[str] | None


def command(
    suite: Annotated[str, opt(f"{', '.join(SUITES)}.")] = "simulators",
    problem: Annotated[
        Words, opt(f"family:qubits-weights-batch, {' or '.join(BUILDERS)}, as ladder:4-16-16.")
    ] = None,
    circuit: Annotated[
        Words,
        opt("Circuit of the gallery or file; without weights, its literal angles are trained."),
    ] = None,
    gradient: Annotated[Words, opt(f"{', '.join(GRADIENTS)}; all by default.")] = None,
    method: Annotated[Words, opt(f"Of Aer: {', '.join(METHODS)}.")] = None,
    device: Annotated[Words, opt("CPU, GPU or auto.")] = None,
    precision: Annotated[Words, opt(f"{' or '.join(PRECISIONS)}.")] = None,
    batch: Annotated[Words, opt("Samples, instead of the problems' own.")] = None,
    shots: Annotated[Words, opt(f"A setting; or `{EXACT}`.")] = None,
    repetitions: Annotated[int | None, opt("Timed turns a row: 7, or 3 with --quick.")] = None,
    seed: Annotated[int, opt("Of angles, inputs and shots.")] = 0,
    peers: Annotated[bool, opt("Compare with all peers that are installed.", "--peers")] = False,
    peer: Annotated[Words, opt(f"Compare with {', '.join(peer_names())}.")] = None,
    max_seconds: Annotated[
        float | None,
        opt(
            "Of timed calls a row; 10 by default, 1.5 with --quick. Who needs more for the "
            "first call is reported so and not timed."
        ),
    ] = None,
    quick: Annotated[bool, opt("End within a minute.", "--quick")] = False,
    output: Annotated[Path, opt("Folder for figures.")] = Path("results/bench"),
    as_json: options.Json = False,
) -> None:
    """Measure simulators: gradient rule x method x device x problem x batch x shots.

    Lists are written with commas, or options repeated. With --peers the same circuits run in other
    libraries, each checked first and timed in turn.
    """
    settings = bench.SimulatorSettings(
        problems=split(problem), circuits=split(circuit, keep=lambda text: Path(text).exists()),
        gradients=split(gradient), methods=split(method) or ("automatic",),
        devices=split(device) or ("CPU",), precisions=split(precision) or ("double",),
        batches=tuple(number("batch", text, int, "a whole number") for text in split(batch)),
        shots=tuple(
            None if text == EXACT else number("shots", text, int, "a whole number, or `exact`")
            for text in split(shots)
        ),
        repetitions=repetitions, seed=seed, peers=peers, peer=split(peer),
        max_seconds=max_seconds, quick=quick,
    )  # fmt: skip
    output_folder(output)
    console = Console(stderr=as_json)
    with interruptible(), console.status("measuring") as status:
        outcome = _run(suite, settings, status.update)
    page = bench.write_outcome(outcome, output)
    if as_json:
        print_json(outcome.as_dict())
    else:
        _show(outcome, console)
        console.print(f"Page: {page}", soft_wrap=True)


def split(
    texts: Iterable[str] | None, keep: Callable[[str], bool] = lambda _: False
) -> tuple[str, ...]:
    """Return the parts between commas of all texts, without doubles; ``keep`` leaves some whole."""
    parts: dict[str, None] = {}
    for text in texts or ():
        for part in [text] if keep(text) else text.split(","):
            if not part.strip():
                raise ArgumentError(f"An empty item in {text!r}. Write items between commas.")
            parts[part.strip()] = None
    return tuple(parts)


def _run(
    suite: str, settings: bench.SimulatorSettings, report: Callable[[str], object]
) -> bench.BenchOutcome:
    """Measure; what cannot be measured is refused before anything runs."""
    started = time.perf_counter()
    _validation.choice("suite", suite, SUITES)
    simulators = training = None
    if suite != "training":
        plan = bench.make_plan(settings)
        simulators = bench.run_simulators(settings, plan, report=report, started=started)
    if suite != "simulators":
        training = bench.run_training(quick=settings.quick, report=report)
    return bench.BenchOutcome(simulators, training)


def _show(outcome: bench.BenchOutcome, console: Console) -> None:
    """Print tables, goals and what was left out."""
    if outcome.simulators is not None:
        rows = outcome.simulators.rows
        for table in tables.problem_tables(rows):
            console.print(_shown(table, console.width))
            for reason in table.reasons:
                console.print(Text(reason, style="dim"))
            console.print()
        if findings := tables.goal_rows(outcome.simulators.findings):
            console.print(_filled("goals", tables.GOAL_HEADER, findings))
        for note in (*outcome.simulators.notes, *tables.left_out(rows)):
            console.print(Text(note, style="dim"))
    if outcome.training is not None:
        header, training = training_rows(outcome.training)
        console.print(_filled("training and the memory bridge", header, training))


def _shown(table: tables.ProblemTable, width: int) -> Table:
    columns = range(len(tables.HEADER)) if width >= tables.WIDE else tables.NARROW
    shown = plain_table(table.problem)
    for column in columns:
        name = tables.HEADER[column]
        shown.add_column(name, justify="left" if column < 2 else "right", no_wrap=column > 1)
    for row, ours, best in zip(table.rows, table.ours, table.best, strict=True):
        style = "bold magenta" if ours else "bold" if best else None
        shown.add_row(*(Text(row[column]) for column in columns), style=style)
    return shown


def _filled(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    shown = plain_table(title)
    for name in header:
        shown.add_column(name)
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown
