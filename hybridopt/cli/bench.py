"""Command `hybridopt bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hybridopt import _validation, bench
from hybridopt._files import check_folder, check_writable
from hybridopt._progress import progress_console
from hybridopt.bench import tables
from hybridopt.bench.cluster_suite import HEADER as CLUSTER_HEADER
from hybridopt.bench.cluster_suite import cluster_rows
from hybridopt.bench.gpu_suite import HEADER as GPU_HEADER
from hybridopt.bench.gpu_suite import gpu_rows, gpu_summary
from hybridopt.bench.peers import PEER_NAMES
from hybridopt.bench.peers.from_file import is_one_file_peer
from hybridopt.bench.problem import BUILDERS
from hybridopt.bench.row import FAILED, WRONG
from hybridopt.bench.training_suite import training_rows
from hybridopt.cli import options
from hybridopt.cli.options import number, opt
from hybridopt.cli.output import interruptible, plain_table, print_json, writing
from hybridopt.errors import ArgumentError
from hybridopt.execution.aer.executor import METHODS, PRECISIONS
from hybridopt.gradients import GRADIENTS

SUITES = ("simulators", "training", "cluster", "gpu", "all")
NOT_CORRECT = 1  # exit code
EXACT, NONE = "exact", "none"
Words = list[str] | None


def command(
    suite: Annotated[str, opt(f"Suite to run: {', '.join(SUITES)}.")] = "simulators",
    problem: Annotated[Words, opt(f"Problem as ladder:4-16-16; {' or '.join(BUILDERS)}.")] = None,
    circuit: Annotated[
        Words, opt("Circuit of the gallery or file; its literal angles if it has no weights.")
    ] = None,
    gradient: Annotated[Words, opt(f"Gradient rule: {', '.join(GRADIENTS)}.")] = None,
    method: Annotated[Words, opt(f"Method of Aer: {', '.join(METHODS)}.")] = None,
    device: Annotated[Words, opt("Device: CPU, GPU or auto.")] = None,
    precision: Annotated[Words, opt(f"Precision: {', '.join(PRECISIONS)}.")] = None,
    batch: Annotated[Words, opt("Batch size, instead of that of the problem.")] = None,
    shots: Annotated[Words, opt(f"Number of shots per setting, or `{EXACT}`.")] = None,
    noise: Annotated[
        Words, opt(f"Probability of depolarization after each gate, or `{NONE}`.")
    ] = None,
    repetitions: Annotated[int | None, opt("Timed calls per row: 7, or 3 with --quick.")] = None,
    seed: Annotated[int, opt("Seed for angles, inputs and shots.")] = 0,
    peers: Annotated[bool, opt("Compare with all installed peers.", "--peers")] = False,
    peer: Annotated[
        Words, opt(f"Compare with a peer: {', '.join(PEER_NAMES)}, or your `file.py:Class`.")
    ] = None,
    max_seconds: Annotated[float | None, opt("Seconds per row: 10, or 1.5 with --quick.")] = None,
    quick: Annotated[bool, opt("End within a minute.", "--quick")] = False,
    output: Annotated[Path, opt("Folder for the results.")] = Path("results/bench"),
    csv: Annotated[Path | None, opt("CSV file for the rows of the simulators.")] = None,
    as_json: options.Json = False,
) -> None:
    """Measure simulators: rule x method x device x problem x batch x shots x noise.

    Several values are separated by commas, or the option is repeated. With --peers, other libraries
    run the same circuits; the first result of each is checked before it is timed, and the last one
    afterwards. The suite cluster times jobs on 1, 2 and 4 Dask workers of this machine. The suite
    gpu compares the GPU with the CPU at 12 to 28 qubits; it is not in all. Exit codes: 1 if a
    simulator was wrong or failed (all files are written), 2 for wrong options, 0 otherwise, also
    if rows are slow or not run.
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
        noises=tuple(
            None if text == NONE else number("noise", text, float, "a probability, or `none`")
            for text in split(noise)
        ),
        repetitions=repetitions, seed=seed, peers=peers, peer=split(peer, keep=is_one_file_peer),
        max_seconds=max_seconds, quick=quick,
    )  # fmt: skip
    check_folder(output)
    _validation.choice("suite", suite, SUITES)
    if csv is not None:
        if suite not in {"simulators", "all"}:
            raise ArgumentError(f"`csv` must be used with simulators (got suite {suite!r}).")
        check_writable(csv)
    simulators = training = cluster = gpu = None
    with interruptible(), progress_console().status("measuring") as status:
        if suite in {"simulators", "all"}:
            plan = bench.make_plan(settings)
            simulators = bench.run_simulators(settings, plan, report=status.update)
        if suite in {"training", "all"}:
            training = bench.run_training(quick=quick, report=status.update)
        if suite == "cluster" or (suite == "all" and find_spec("distributed")):
            cluster = bench.run_cluster(quick=quick, report=status.update)
        if suite == "gpu":
            gpu = bench.run_gpu(quick=quick, report=status.update)
    outcome = bench.BenchOutcome(simulators, training, cluster, gpu)
    with writing(output):
        page = bench.write_outcome(outcome, output)
        if csv is not None and simulators is not None:
            bench.write_csv(simulators.rows, csv)
    if as_json:
        print_json(outcome.as_dict())
    else:
        console = Console()
        _show(outcome, console)
        console.print(f"Page: {page}", soft_wrap=True)
    if simulators is not None and any(row.status in {WRONG, FAILED} for row in simulators.rows):
        raise typer.Exit(NOT_CORRECT)


def split(
    texts: Iterable[str] | None, keep: Callable[[str], bool] = lambda _: False
) -> tuple[str, ...]:
    """Return the different items between commas; texts for which ``keep`` is true stay whole."""
    parts: dict[str, None] = {}
    for text in texts or ():
        for part in [text] if keep(text) else text.split(","):
            if not part.strip():
                raise ArgumentError(f"Items between commas must not be empty (got {text!r}).")
            parts[part.strip()] = None
    return tuple(parts)


def _show(outcome: bench.BenchOutcome, console: Console) -> None:
    """Print tables, goals and notes."""
    if outcome.simulators is not None:
        rows = outcome.simulators.rows
        for table in tables.problem_tables(rows):
            columns = range(len(tables.HEADER)) if console.width >= tables.WIDE else tables.NARROW
            header, *cells = ([row[n] for n in columns] for row in (tables.HEADER, *table.rows))
            pairs = zip(table.ours, table.best, strict=True)
            styles = ["bold magenta" if ours else "bold" if best else None for ours, best in pairs]
            numeric = range(2, len(header))
            shown = plain_table(
                header, cells, title=table.problem, left=(0, 1), no_wrap=numeric, styles=styles
            )
            console.print(shown)
            for remark in (f"Observables: {table.observables}", *table.remarks):
                console.print(Text(remark, style="dim"))
            console.print()
        if findings := tables.goal_rows(outcome.simulators.findings):
            every = range(len(tables.GOAL_HEADER))
            console.print(plain_table(tables.GOAL_HEADER, findings, title="goals", left=every))
        for note in (*outcome.simulators.notes, *tables.left_out(rows)):
            console.print(Text(note, style="dim"))
    if outcome.cluster is not None:
        on_cluster = cluster_rows(outcome.cluster)
        every = range(len(CLUSTER_HEADER))
        console.print(plain_table(CLUSTER_HEADER, on_cluster, title="jobs on clusters", left=every))
    if outcome.gpu is not None:
        title, every = "a GPU beside the CPU", range(len(GPU_HEADER))
        console.print(plain_table(GPU_HEADER, gpu_rows(outcome.gpu), title=title, left=every))
        for sentence in gpu_summary(outcome.gpu):
            console.print(Text(sentence))
    if outcome.training is not None:
        title = "training and the memory bridge"
        header, training = training_rows(outcome.training)
        console.print(plain_table(header, training, title=title, left=range(len(header))))
