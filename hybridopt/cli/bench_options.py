"""Options of `hybridopt bench`: lists with commas or repeated options, as settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybridopt import _validation
from hybridopt.bench import tables
from hybridopt.bench.peers import peer_names
from hybridopt.bench.plan import SimulatorSettings, make_plan
from hybridopt.bench.problem import BUILDERS
from hybridopt.bench.results import BenchOutcome
from hybridopt.bench.simulators import run_simulators
from hybridopt.bench.training_suite import run_training, training_rows
from hybridopt.errors import ArgumentError
from hybridopt.execution.aer.executor import METHODS, PRECISIONS
from hybridopt.gradients import GRADIENTS

SUITES = ("simulators", "training", "all")
EXACT = "exact"

Suite = Annotated[str, typer.Option(help=f"{', '.join(SUITES)}.")]
Problems = Annotated[
    list[str] | None,
    typer.Option("--problem", help=f"family:qubits-weights-batch, {' or '.join(BUILDERS)}, such as "
                 "ladder:4-16-16."),
]  # fmt: skip
Circuits = Annotated[
    list[str] | None,
    typer.Option("--circuit", help="A circuit of the gallery or an OpenQASM 3 file of your own."),
]
Gradients = Annotated[
    list[str] | None, typer.Option("--gradient", help=f"{', '.join(GRADIENTS)}; all by default.")
]
Methods = Annotated[
    list[str] | None, typer.Option("--method", help=f"Of Aer: {', '.join(METHODS)}.")
]
Devices = Annotated[list[str] | None, typer.Option("--device", help="CPU, GPU or auto.")]
Precisions = Annotated[
    list[str] | None, typer.Option("--precision", help=f"{' or '.join(PRECISIONS)}.")
]
Batches = Annotated[
    list[str] | None, typer.Option("--batch", help="Samples, instead of the problems' own.")
]
Shots = Annotated[list[str] | None, typer.Option("--shots", help=f"A setting; or `{EXACT}`.")]
Peers = Annotated[bool, typer.Option("--peers", help="Compare with all peers that are installed.")]
Peer = Annotated[
    list[str] | None, typer.Option("--peer", help=f"Compare with {', '.join(peer_names())}.")
]
Repetitions = Annotated[
    int | None, typer.Option(help="Timed turns a row; 7 by default, 3 with --quick.")
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(help="Of timed calls a row; 10 by default, 1.5 with --quick. Who needs more for "
                 "the first call is reported so and not timed."),
]  # fmt: skip


def simulator_settings(
    *,
    problems: Iterable[str] | None,
    circuits: Iterable[str] | None,
    gradients: Iterable[str] | None,
    methods: Iterable[str] | None,
    devices: Iterable[str] | None,
    precisions: Iterable[str] | None,
    batches: Iterable[str] | None,
    shots: Iterable[str] | None,
    repetitions: int | None,
    seed: int,
    peers: bool,
    peer: Iterable[str] | None,
    max_seconds: float | None,
    quick: bool,
) -> SimulatorSettings:
    """The settings that the options ask for.

    Raises:
        UnknownNameError: With the nearest names.
        ArgumentError: If a number is none, or out of range.
    """
    return SimulatorSettings(
        problems=_split(problems),
        circuits=_split(circuits, keep=lambda text: Path(text).exists()),
        gradients=_split(gradients),
        methods=_split(methods) or ("automatic",),
        devices=_split(devices) or ("CPU",),
        precisions=_split(precisions) or ("double",),
        batches=tuple(_number("batch", text) for text in _split(batches)),
        shots=tuple(None if s == EXACT else _number("shots", s) for s in _split(shots)),
        repetitions=repetitions,
        seed=seed,
        peers=peers,
        peer=_split(peer),
        max_seconds=max_seconds,
        quick=quick,
    )


def run_suites(
    suite: str, settings: SimulatorSettings, report: Callable[[str], object]
) -> BenchOutcome:
    """Measure; what cannot be measured is refused before anything runs.

    Args:
        suite: ``"simulators"``, ``"training"`` or ``"all"``.
        settings: Of the simulators.
        report: Told what is measured next.
    """
    started = time.perf_counter()
    _validation.choice("suite", suite, SUITES)
    plan = make_plan(settings) if suite != "training" else None
    simulators = plan and run_simulators(settings, plan, report=report, started=started)
    training = None
    if suite != "simulators":
        training = run_training(quick=settings.quick, report=report)
    return BenchOutcome(simulators or None, training)


def show(outcome: BenchOutcome, console: Console) -> None:
    """Print tables, goals and what was left out."""
    if outcome.simulators is not None:
        for group in tables.groups(outcome.simulators.rows):
            console.print(_shown_group(group, console.width))
            for reason in group.reasons:
                console.print(Text(reason, style="dim"))
            console.print()
        if findings := tables.goal_rows(outcome.simulators.findings):
            console.print(_table(tables.GOAL_HEADER, findings, "goals"))
        notes = [*outcome.simulators.notes, *tables.left_out(outcome.simulators.rows)]
        for note in notes:
            console.print(Text(note, style="dim"))
    if outcome.training is not None:
        header, rows = training_rows(outcome.training)
        console.print(_table(header, rows, "training and the memory bridge"))


def _shown_group(group: tables.Group, width: int) -> Table:
    columns = range(len(tables.HEADER)) if width >= tables.WIDE else tables.NARROW
    shown = Table(title=Text(group.problem), title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in columns:
        name = tables.HEADER[column]
        shown.add_column(name, justify="left" if column < 2 else "right", no_wrap=column > 1)
    for row, ours, best in zip(group.rows, group.ours, group.best, strict=True):
        style = "bold magenta" if ours else "bold" if best else None
        shown.add_row(*(Text(row[column]) for column in columns), style=style)
    return shown


def _table(header: Iterable[str], rows: Iterable[Iterable[str]], title: str) -> Table:
    shown = Table(*header, title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def _split(
    texts: Iterable[str] | None, keep: Callable[[str], bool] = lambda _: False
) -> tuple[str, ...]:
    """Parts between commas of all texts, without doubles; what ``keep`` holds stays whole."""
    parts: dict[str, None] = {}
    for text in texts or ():
        for part in [text] if keep(text) else text.split(","):
            if not part.strip():
                raise ArgumentError(f"An empty item in {text!r}. Write items between commas.")
            parts[part.strip()] = None
    return tuple(parts)


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        hint = f", or `{EXACT}`" if name == "shots" else ""
        raise ArgumentError(
            f"Argument `{name}` must be a whole number{hint}, but is {text!r}."
        ) from None
