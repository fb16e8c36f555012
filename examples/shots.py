"""Shots that a weight of the memory bridge needs, on digits, from one shot per weight to exact.

One circuit of 12 qubits contains all 1,510 weights of a network 64-20-10. It has N = 2,048 basis
states for weights, and "s shots per weight" are s N shots per setting. A training step takes two
settings for any batch size. The network is trained from random weights in residual form with
scale 0.1, and merged after each epoch.

Each trained network is tested twice: with weights computed from its angles, and with weights read
from the circuit with the number of shots of the training. It is compared with a network that was
trained exactly and then read with shots, with its twin, and with the classical network. All
learning rates come from the same trials on a part of the training samples; the memory bridge uses
those of its twin.

    python examples/shots.py                    # about 4 minutes on two cores
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from many_runs import many, markdown, spread, with_spread, write
from matplotlib.figure import Figure
from torch import nn

import hybridopt as ho
from hybridopt._plots import label_ends, subplots

HIDDEN = 20
SHOTS = (1, 2, 4, 8, 32, 128, None)  # per weight; None for exact
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1)
SCALE = 0.1  # largest change of a weight in one epoch
TEST_IMAGES = 360  # of the digits
READINGS = 10  # number of circuit readings that are averaged
VALIDATION = 0.2
INK, MUTED = "#1f2933", "#7b8794"
ANGLES, CIRCUIT, EXACT = "#6d28d9", "#be185d", "#0f766e"


@dataclass(frozen=True)
class Plan:
    """Budget of every method."""

    shots: tuple[int | None, ...] = SHOTS
    rates: tuple[float, ...] = LEARNING_RATES
    seeds: int = 3
    epochs: int = 20
    batch_size: int = 32
    samples: int | None = None


QUICK = Plan(shots=(1, 8, None), rates=(0.03, 0.1), seeds=2, epochs=1, samples=128)


@dataclass(frozen=True)
class Task:
    """One training run; without a seed, it is tested on the validation part."""

    plan: Plan
    method: str  # "memory", "twin" or "classical"
    shots: int | None
    rate: float
    seed: int | None


@dataclass(frozen=True)
class Row:
    """Result of a training run.

    Attributes:
        method: Name of the method; ``"exact, read with shots"`` was trained without shots.
        shots_a_weight: Number of shots per weight in training and reading; None for exact.
        seed: Seed for weights, order and shots.
        learning_rate: Learning rate of Adam.
        by_angles: Test accuracy with weights computed from the angles.
        by_circuit: Test accuracy with weights read from the circuit, mean over several readings.
        seconds: Duration of the training steps [s].
        settings: Number of settings in training.
        shots: Number of shots in training, including the metric after each epoch.
    """

    method: str
    shots_a_weight: int | None
    seed: int | None
    learning_rate: float
    by_angles: float
    by_circuit: float | None
    seconds: float
    settings: int
    shots: int


READ_ONLY = "exact, read with shots"


def mlp(data: ho.Dataset, seed: int) -> nn.Sequential:
    """Return a network with one hidden layer and random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = nn.Linear(data.num_features, HIDDEN)
        return nn.Sequential(first, nn.Tanh(), nn.Linear(HIDDEN, data.num_outputs))


def load(plan: Plan, *, tuning: bool) -> ho.Dataset:
    """Return training and test part; for tuning, two parts of the training part."""
    data = ho.load_dataset("digits", seed=0)
    x, y = data.train.x, data.train.y
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[: plan.samples]
    if not tuning:
        return replace(data, train=ho.data.Part(x[order], y[order]))
    held_out = int(VALIDATION * len(order))
    parts = (ho.data.Part(x[rows], y[rows]) for rows in (order[held_out:], order[:held_out]))
    return replace(data, train=next(parts), test=next(parts))


def executor(network: nn.Module, shots: int | None, seed: int) -> ho.AerExecutor:
    """Return an executor with ``shots`` shots for each of the N basis states."""
    num_weights = sum(p.numel() for p in network.parameters())
    places = 1 << (num_weights - 1).bit_length()
    return ho.AerExecutor(shots=None if shots is None else shots * places, seed=seed)


def run(task: Task) -> list[Row]:
    """Train and test; read an exactly trained memory bridge with every number of shots, too."""
    torch.set_num_threads(1)
    plan, seed = task.plan, task.seed or 0
    data = load(plan, tuning=task.seed is None)
    network = trained = mlp(data, seed)
    if task.method != "classical":
        runs_on = executor(network, task.shots, seed)
        trained = ho.to_quantum(network, task.method, executor=runs_on, scale=SCALE, merge="epoch")
    history = ho.fit(
        trained, (data.train.x, data.train.y), optimizer="adam", lr=task.rate, epochs=plan.epochs,
        batch_size=plan.batch_size, seed=seed,
    )  # fmt: skip
    row = Row(
        method=task.method,
        shots_a_weight=task.shots,
        seed=task.seed,
        learning_rate=task.rate,
        by_angles=accuracy(ho.to_classical(trained) if trained is not network else network, data),
        by_circuit=None if trained is network else read_accuracy(trained, data),
        seconds=sum(record.seconds for record in history),
        settings=sum(record.settings for record in history),
        shots=sum(record.shots for record in history),
    )
    if task.method != "memory" or task.shots is not None:
        return [row]
    return [row, *read_with_shots(trained, row, data, plan.shots)]


def read_with_shots(
    trained: ho.QuantumNetwork, row: Row, data: ho.Dataset, numbers: Sequence[int | None]
) -> Iterator[Row]:
    """Yield one row per number of shots with which an exactly trained network is read."""
    for shots in numbers:
        if shots is not None:
            trained.executor = ho.AerExecutor(shots=shots * trained.num_angles, seed=row.seed)
            read = read_accuracy(trained, data)
            yield replace(row, method=READ_ONLY, shots_a_weight=shots, by_circuit=read)


@torch.no_grad()
def accuracy(network: nn.Module, data: ho.Dataset) -> float:
    """Return the accuracy on the test part."""
    assert data.test is not None
    return float((network(data.test.x).argmax(1) == data.test.y).double().mean())


def read_accuracy(trained: ho.QuantumNetwork, data: ho.Dataset) -> float:
    """Return the mean test accuracy of several readings, each with the shots of the executor."""
    trained.train()  # in `eval()` mode, all tests would use one reading
    return statistics.fmean(
        accuracy(ho.to_classical(trained, readout="circuit"), data) for _ in range(READINGS)
    )


def experiment(plan: Plan, workers: int) -> list[Row]:
    """Tune every method with every number of shots by equal trials, then train with each seed."""
    every: list[tuple[str, int | None]] = [("twin", shots) for shots in plan.shots]
    every.append(("classical", None))
    trials = [Task(plan, *pair, rate, None) for pair in every for rate in plan.rates]
    with many(workers) as each:
        tried = each(run, trials, "tuning")
        rates: dict[tuple[str, int | None], float] = {}
        for first, pair in enumerate(every):
            rows = [row for (row,) in tried[first * len(plan.rates) :][: len(plan.rates)]]
            rates[pair] = max(rows, key=lambda row: row.by_angles).learning_rate
        finals = [
            Task(plan, method, shots, rates["twin" if method == "memory" else method, shots], seed)
            for method, shots in [*(("memory", shots) for shots in plan.shots), *every]
            for seed in range(plan.seeds)
        ]
        return [row for rows in each(run, finals, "seeds") for row in rows]


Group = dict[int | None, list[Row]]


def grouped(rows: Sequence[Row], method: str) -> Group:
    """Return the rows of a method by shots per weight in ascending order, exact last."""
    own = [row for row in rows if row.method == method]
    order = sorted({row.shots_a_weight for row in own}, key=lambda s: (s is None, s or 0))
    return {shots: [row for row in own if row.shots_a_weight == shots] for shots in order}


HEADER = (
    "method", "shots per weight", "from angles", "from circuit", "learning rate",
    "seconds", "shots in training",
)  # fmt: skip


def table_of(rows: Sequence[Row]) -> str:
    """Return a table of means over seeds."""
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        for shots, group in grouped(rows, method).items():
            cells = [
                method if method in ("memory", READ_ONLY) else f"control: {method}",
                "exact" if shots is None else f"{shots}",
                with_spread(row.by_angles for row in group),
                "" if group[0].by_circuit is None else with_spread(row.by_circuit for row in group),
                f"{group[0].learning_rate:g}",
                f"{statistics.fmean(row.seconds for row in group):.1f}",
                f"{group[0].shots:,}",
            ]
            if method == "classical":
                cells[1] = ""
            lines.append(cells)
    return markdown(HEADER, lines)


def draw(rows: Sequence[Row], plan: Plan) -> Figure:
    """Plot mean accuracies against shots per weight; the table has seeds and twins, too."""
    figure, axes = subplots(8.4, 4.6, grid="y")
    memory = grouped(rows, "memory")
    places = {shots: place for place, shots in enumerate(memory)}
    mean, deviation = spread(row.by_angles for row in grouped(rows, "classical")[None])
    ends = [0, len(places) - 1]
    axes.axhspan(mean - deviation, mean + deviation, color=INK, alpha=0.07, linewidth=0)
    axes.plot(
        ends, [mean, mean], color=INK, linewidth=1.2, linestyle="--", label="classical network"
    )
    for groups, column, color, label in (
        (memory, "by_angles", ANGLES, "trained with shots,\nweights from the angles"),
        (memory, "by_circuit", CIRCUIT, "trained and read\nwith these shots"),
        (grouped(rows, READ_ONLY), "by_circuit", EXACT, "trained exactly,\nread with these shots"),
    ):
        means = [statistics.fmean(getattr(row, column) for row in g) for g in groups.values()]
        xs = [places[shots] for shots in groups]
        axes.plot(xs, means, color=color, linewidth=1.8, marker="o", markersize=5, label=label)
    axes.set_xticks(list(places.values()), [_label(shots, memory) for shots in places])
    axes.set_xlabel("shots per weight (below: million shots in the whole training)")
    axes.set_ylabel("test accuracy")
    axes.set_title(
        "Training with shots keeps the accuracy; reading after exact training needs more shots",
        loc="left", fontsize=10,
    )  # fmt: skip
    axes.text(
        0.99, 0.03, f"digits, 1,510 weights in one circuit, means of {plan.seeds} seeds\n"
        f"band: classical mean ± deviation; one test image = {1 / TEST_IMAGES:.2g}",
        transform=axes.transAxes, ha="right", fontsize=8.5, color=MUTED,
    )  # fmt: skip
    label_ends(axes, lines=2)
    return figure


def _label(shots: int | None, memory: Group) -> str:
    if shots is None:
        return "exact"
    return f"{shots}\n({memory[shots][0].shots / 1e6:,.3g} M)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("results/shots"))
    parser.add_argument("--epochs", type=int, help=f"default: {Plan.epochs}")
    parser.add_argument("--seeds", type=int, help=f"default: {Plan.seeds}")
    parser.add_argument(
        "--workers", type=int, default=2, help="number of processes with one core each"
    )
    parser.add_argument("--quick", action="store_true", help="one epoch, as a test of the script")
    given = parser.parse_args(arguments)
    for name in ("epochs", "seeds", "workers"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1 (got {getattr(given, name)})")
    plan = QUICK if given.quick else Plan()
    plan = replace(plan, epochs=given.epochs or plan.epochs, seeds=given.seeds or plan.seeds)
    given.output.mkdir(parents=True, exist_ok=True)
    rows = experiment(plan, given.workers)
    table = table_of(rows)
    write(rows, table, given.output)
    print(table)
    draw(rows, plan).savefig(given.output / "shots.png", dpi=110)
    print(f"Written: {given.output}/runs.csv, table.md, shots.png")


if __name__ == "__main__":
    main()
