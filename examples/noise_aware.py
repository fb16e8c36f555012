"""Training for a noisy device: ideal, with noise, or ideal first and the last quarter with noise.

A dressed circuit of three qubits learns a function of two variables, sin(2 a) cos(b). All trained
networks are judged under the noise of one fake device, without and with mitigation of its readout
errors. The number of training steps is varied, because it may change the order of the methods.
Expectation values are those of infinitely many shots. Everything runs on a simulator.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from many_runs import markdown, write
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from qiskit.providers import BackendV2
from qiskit_ibm_runtime.fake_provider import FakeYorktownV2

import hybridopt as ho
from hybridopt.data import Part

STEPS_PER_EPOCH = 4
LEARNING_RATE = 0.05
MITIGATED = {"readout_mitigation": "inverse"}
JUDGES = {"without mitigation": {}, "with mitigation": MITIGATED}
COLORS = ("#374151", "#b45309", "#6d28d9", "#0f766e")
INK, GREY, GRID = "#1f2933", "#7b8794", "#e4e7eb"


@dataclass(frozen=True)
class Plan:
    """Sizes of the experiment."""

    epochs: Sequence[int] = (5, 20)
    seeds: int = 5
    depth: int = 3
    train: int = 60
    test: int = 140


QUICK = Plan(epochs=(4,), seeds=2, depth=1, train=10, test=10)


@dataclass(frozen=True)
class Row:
    """Result of one trained network on one judge."""

    steps: int
    judge: str
    method: str
    seed: int
    trained_r2: float
    judged_r2: float
    training_seconds: float
    judging_settings: int


def methods(device: BackendV2) -> list[ho.Method]:
    """Return the ways to train, which differ in their executors only."""
    ideal, noisy = ho.AerExecutor(), ho.AerExecutor(noise_model=device)
    mitigated = ho.AerExecutor(noise_model=device, **MITIGATED)
    adam = partial(ho.Method, "adam", lr=LEARNING_RATE)
    return [
        adam(name="ideal", executor=ideal),
        adam(name="with noise", executor=noisy),
        adam(name="ideal, last quarter with noise", executor=[(ideal, 3), (noisy, 1)]),
        adam(name="with noise and mitigation", executor=mitigated),
    ]


def points(plan: Plan) -> ho.Dataset:
    """Return the function at random points; each seed of the study draws a new split."""
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.rand(plan.train + plan.test, 2, generator=generator) - 2
    y = torch.sin(2 * x[:, :1]) * torch.cos(x[:, 1:])
    train, test = (Part(x[rows], y[rows]) for rows in (slice(plan.train), slice(plan.train, None)))
    return ho.Dataset("sin(2 a) cos(b)", "regression", train, test)


def studies(plan: Plan, device: BackendV2) -> dict[tuple[int, str], ho.Study]:
    """Return the study of each number of steps and each judge."""
    data = points(plan)
    network = partial(ho.DressedCircuit, 2, 1, num_qubits=3, depth=plan.depth, gradient="adjoint")
    found = {}
    for epochs in plan.epochs:
        for name, options in JUDGES.items():
            judge = ho.AerExecutor(noise_model=device, **options)
            study = ho.compare(
                network, data, methods=methods(device), budget=epochs, seeds=plan.seeds,
                tuning=None, batch_size=plan.train // STEPS_PER_EPOCH, judge=judge,
            )  # fmt: skip
            found[epochs * STEPS_PER_EPOCH, name] = study
            print(f"{epochs * STEPS_PER_EPOCH} steps, {name}: {study.recommend()}", flush=True)
    return found


def rows_of(found: dict[tuple[int, str], ho.Study]) -> list[Row]:
    """Return a row per run."""
    return [
        Row(
            steps, judge, run.method, run.seed, run.trained_metric, run.test_metric,
            run.training_seconds, run.judging_settings,
        )
        for (steps, judge), study in found.items()
        for run in study.runs
    ]  # fmt: skip


def table_of(found: dict[tuple[int, str], ho.Study]) -> str:
    """Return a table with a line per number of steps, judge and method."""
    header = ("training", "steps", "judged", "as trained", "on the device", "minus ideal", "train")
    lines = []
    for (steps, judge), study in found.items():
        differences = {one.method: one.interval for one in study.differences()}
        for method in study.methods:
            trained, judged, seconds = (
                study.spread(method, name)
                for name in ("trained_metric", "test_metric", "training_seconds")
            )
            cells = [method, str(steps), judge]
            cells += ["{:.3f} ± {:.3f}".format(*one) for one in (trained, judged)]
            lines.append([*cells, str(differences.get(method, "")), f"{seconds[0]:.1f} s"])
    return markdown(header, lines)


def picture(found: dict[tuple[int, str], ho.Study], device: str) -> Figure:
    """Plot R² on the device, one panel per number of steps and judge."""
    steps = list(dict.fromkeys(number for number, _ in found))
    size = (4.6 * len(JUDGES) + 1.4, 2.1 * len(steps) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(steps), len(JUDGES), sharex=True, sharey=True, squeeze=False)
    for (number, judge), study in found.items():
        axes = grid[steps.index(number)][list(JUDGES).index(judge)]
        advice = study.recommend()
        best = f"{advice.method} is best" if advice.method else "undecided"
        axes.set_title(f"{number} steps, judged {judge}: {best}", fontsize=9, color=INK)
        panel(axes, study)
    for axes in grid[-1]:
        axes.set_xlabel(f"test R² under the noise of {device}", fontsize=9)
    title = f"Which training gives the best R² on {device}? A dot per seed, a bar at the mean"
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def panel(axes: Axes, study: ho.Study) -> None:
    """Draw R² of all methods, and their differences to the first one."""
    differences = {one.method: one.interval for one in study.differences()}
    for place, (method, color) in enumerate(zip(study.methods, COLORS, strict=True)):
        scores = [run.test_metric for run in study.runs_of(method)]
        axes.scatter(scores, [place] * len(scores), s=22, color=color, alpha=0.7, zorder=3)
        mean = study.spread(method, "test_metric")[0]
        axes.plot([mean] * 2, [place - 0.22, place + 0.22], color=color, linewidth=2.5)
        if differences.get(method) is not None:
            axes.text(
                1.0, place - 0.4, f"minus ideal: {differences[method]}", fontsize=7.5, color=GREY,
                transform=axes.get_yaxis_transform(), va="center", ha="right",
            )  # fmt: skip
    axes.set_yticks(range(len(study.methods)), study.methods, fontsize=8.5)
    axes.set_ylim(len(study.methods) - 0.5, -0.6)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, color=GREY)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a test of a few seconds")
    parser.add_argument(
        "--output", type=Path, default=Path("results/noise_aware"), help="folder for the results"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # threads cost more time than they save for small tensors
    device = FakeYorktownV2()
    found = studies(QUICK if given.quick else Plan(), device)
    given.output.mkdir(parents=True, exist_ok=True)
    table = table_of(found)
    write(rows_of(found), table, given.output)
    picture(found, device.name).savefig(given.output / "noise_aware.png", dpi=110)
    print(f"\n{table}\nWritten to {given.output}: table.md, runs.csv, noise_aware.png")


if __name__ == "__main__":
    main()
