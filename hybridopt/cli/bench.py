"""The command `hybridopt bench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hybridopt._files import output_folder
from hybridopt.bench import write_outcome
from hybridopt.cli import bench_options, options
from hybridopt.cli.output import interruptible


def bench_simulators(
    suite: bench_options.Suite = "simulators",
    problem: bench_options.Problems = None,
    circuit: bench_options.Circuits = None,
    gradient: bench_options.Gradients = None,
    method: bench_options.Methods = None,
    device: bench_options.Devices = None,
    precision: bench_options.Precisions = None,
    batch: bench_options.Batches = None,
    shots: bench_options.Shots = None,
    repetitions: bench_options.Repetitions = None,
    seed: Annotated[int, typer.Option(help="Of angles, inputs and shots.")] = 0,
    peers: bench_options.Peers = False,
    peer: bench_options.Peer = None,
    max_seconds: bench_options.MaxSeconds = None,
    quick: Annotated[bool, typer.Option("--quick", help="End within a minute.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for figures.")] = Path("results/bench"),
    as_json: options.Json = False,
) -> None:
    """Measure simulators: gradient rule x method x device x problem x batch x shots.

    Lists are written with commas, or options repeated. With --peers the same circuits run in other
    libraries, each checked first and timed in turn.
    """
    settings = bench_options.simulator_settings(
        problems=problem,
        circuits=circuit,
        gradients=gradient,
        methods=method,
        devices=device,
        precisions=precision,
        batches=batch,
        shots=shots,
        repetitions=repetitions,
        seed=seed,
        peers=peers,
        peer=peer,
        max_seconds=max_seconds,
        quick=quick,
    )
    output_folder(output)
    console = Console(stderr=as_json)
    with interruptible(), console.status("measuring") as status:
        outcome = bench_options.run_suites(suite, settings, status.update)
    page = write_outcome(outcome, output)
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_dict(), indent=2) + "\n")
        return
    bench_options.show(outcome, console)
    console.print(f"Page: {page}", soft_wrap=True)
