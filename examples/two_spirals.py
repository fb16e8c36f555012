"""Two spirals: a dressed quantum circuit and classical networks of several sizes.

Mari et al. (Quantum 4, 340, arXiv:1912.08278) compare a dressed circuit of five qubits with a
network that has a layer of five tanh units in its place. They publish accuracies of .970 and .855.
This example uses the same data, batches and number of steps, and has more controls. They are the
circuit with frozen angles, its Fourier series trained from random coefficients, and classical
networks of other sizes. All learning rates are tuned in the same way, on data that is not used
again. Everything runs on a simulator; the circuit gives no speed-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from many_runs import markdown, with_spread, write
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor, nn

import hybridopt as ho

NUM_QUBITS = DEPTH = 5
BATCH_SIZE = 10
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
FIRST_TUNING_SEED = 1000  # larger than the seeds of the final runs
SPIRALS = ("#2563eb", "#d97706")
REGIONS = ("dressed circuit", "dressed, angles frozen", "classical 2-10-2")  # drawn
INK, GREY = "#1f2933", "#7b8794"


@dataclass(frozen=True)
class Budget:
    """Budget of every method.

    The defaults are those of the paper: 2,000 points, batches of 10, 1,000 steps. The paper tests
    on 200 points.
    """

    train: int = 2000
    test: int = 1000
    epochs: int = 5
    rates: Sequence[float] = RATES
    tuning_seeds: int = 2
    seeds: int = 5


QUICK = Budget(train=60, test=40, epochs=1, rates=(0.03,), tuning_seeds=1, seeds=2)


@dataclass(frozen=True)
class Method:
    """Network to train.

    Attributes:
        name: Name in the tables.
        build: Function that returns the network, with weights from the generator of torch.
        color: Colour in the picture.
        published: Accuracy in the paper; None if there is none.
    """

    name: str
    build: Callable[[], nn.Module]
    color: str
    published: float | None = None


@dataclass
class Row:
    """Result of a training run."""

    method: str
    seed: int
    lr: float
    trainable: int
    accuracy: float
    train_loss: float
    train_seconds: float
    test_milliseconds: float
    settings: int
    runs: int


@dataclass
class Run:
    """Row, with network and data for the picture."""

    row: Row
    network: nn.Module
    data: ho.Dataset


def dressed(*, frozen: bool = False) -> nn.Module:
    """Return the circuit of the paper between two linear layers."""
    return ho.DressedCircuit(2, 2, NUM_QUBITS, DEPTH, gradient="adjoint", frozen=frozen)


def random_series() -> nn.Module:
    """Return a dressed circuit as a Fourier series in torch, with random coefficients."""
    network = ho.to_classical(dressed())
    coefficients = network.layer.coefficients
    nn.init.normal_(coefficients, std=len(coefficients) ** -0.5)
    return network


def tanh_network(*widths: int) -> nn.Module:
    """Return linear layers with tanh between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


METHODS = (
    Method("dressed circuit", dressed, "#6d28d9", published=0.970),
    Method("dressed, angles frozen", lambda: dressed(frozen=True), "#c084fc"),
    Method("Fourier series, random start", random_series, "#0f766e"),
    Method("classical 2-5-5-2 (paper)", lambda: tanh_network(2, 5, 5, 2), "#b45309", 0.855),
    Method("classical 2-10-2", lambda: tanh_network(2, 10, 2), "#be185d"),
    Method("classical 2-32-32-2", lambda: tanh_network(2, 32, 32, 2), "#374151"),
)
CONVERTED = "dressed circuit, as torch"


def spirals(budget: Budget, seed: int) -> ho.Dataset:
    """Return new points for each seed, standardised as in the paper."""
    total = budget.train + budget.test
    return ho.load_dataset("spirals", seed=seed, num_samples=total, test_size=budget.test / total)


def train(method: Method, budget: Budget, *, lr: float, seed: int) -> Run:
    """Train with Adam; the seed defines weights, data and order."""
    torch.manual_seed(seed)
    data, network = spirals(budget, seed), method.build()
    history = ho.fit(
        network,
        data,
        optimizer="adam",
        lr=lr,
        epochs=budget.epochs,
        batch_size=BATCH_SIZE,
        seed=seed,
    )
    row = Row(
        method=method.name,
        seed=seed,
        lr=lr,
        trainable=sum(p.numel() for p in network.parameters() if p.requires_grad),
        accuracy=accuracy(network, data),
        train_loss=history.train_loss[-1],
        train_seconds=sum(record.seconds for record in history),
        test_milliseconds=milliseconds(network, data.test.x),
        settings=sum(record.settings for record in history),
        runs=sum(record.runs for record in history),
    )
    return Run(row, network, data)


@torch.no_grad()
def accuracy(network: nn.Module, data: ho.Dataset) -> float:
    """Return the accuracy on the test part."""
    return float((network(data.test.x).argmax(-1) == data.test.y).float().mean())


@torch.no_grad()
def milliseconds(network: nn.Module, x: Tensor) -> float:
    """Return the shortest of three times to classify the points [ms]."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        network(x)
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def best_rate(method: Method, budget: Budget) -> float:
    """Return the learning rate with the best mean accuracy on data that is not used again."""
    if len(budget.rates) == 1:
        return budget.rates[0]
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + budget.tuning_seeds)
    scores = {
        lr: statistics.fmean(train(method, budget, lr=lr, seed=seed).row.accuracy for seed in seeds)
        for lr in budget.rates
    }
    return max(scores, key=lambda lr: scores[lr])


def converted(run: Run) -> Row:
    """Return the row of the trained circuit as a torch module, without further training."""
    network = ho.to_classical(run.network)
    values = asdict(run.row) | {
        "method": CONVERTED,
        "trainable": sum(p.numel() for p in network.parameters()),
        "accuracy": accuracy(network, run.data),
        "train_seconds": 0.0,
        "test_milliseconds": milliseconds(network, run.data.test.x),
        "settings": 3**NUM_QUBITS,
        "runs": 0,
    }
    return Row(**values)


def experiment(budget: Budget) -> tuple[dict[str, list[Run]], list[Row]]:
    """Return all runs by method, and all rows, including those of the converted circuit."""
    runs: dict[str, list[Run]] = {}
    rows: list[Row] = []
    for method in METHODS:
        started = time.perf_counter()
        lr = best_rate(method, budget)
        runs[method.name] = [
            train(method, budget, lr=lr, seed=seed) for seed in range(budget.seeds)
        ]
        rows += [run.row for run in runs[method.name]]
        if method is METHODS[0]:
            rows += [converted(run) for run in runs[method.name]]
        mean = statistics.fmean(run.row.accuracy for run in runs[method.name])
        seconds = time.perf_counter() - started
        print(f"{method.name}: {mean:.3f} at lr {lr:g}, {seconds:.0f} s", flush=True)
    return runs, rows


HEADER = (
    "network", "trainable", "lr", "accuracy", "worst to best", "published", "training", "test",
)  # fmt: skip


def table_of(rows: Sequence[Row]) -> str:
    """Return a table with a line per method."""
    published = {method.name: method.published for method in METHODS}
    lines = []
    for name in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == name]
        scores = [row.accuracy for row in own]
        known = published.get(name)
        points = statistics.fmean(row.test_milliseconds for row in own)
        training = statistics.fmean(row.train_seconds for row in own)
        cells = [
            name,
            f"{own[0].trainable:,}",
            f"{own[0].lr:g}",
            with_spread(scores),
            f"{min(scores):.3f} to {max(scores):.3f}",
            "" if known is None else f"{known:.3f}",
            f"{training:.1f} s" if training else "",
            f"{points:.1f} ms",
        ]
        lines.append(cells)
    return markdown(HEADER, lines)


def picture(runs: dict[str, list[Run]]) -> Figure:
    """Plot decision regions of the median runs of three methods, and all accuracies below them."""
    figure = Figure(figsize=(9.6, 7.4), layout="constrained")
    grid = figure.add_gridspec(2, len(REGIONS), height_ratios=(1, 0.95))
    shown = [method for method in METHODS if method.name in REGIONS]
    for column, method in enumerate(shown):
        ordered = sorted(runs[method.name], key=lambda run: run.row.accuracy)
        regions(figure.add_subplot(grid[0, column]), method, ordered[len(ordered) // 2])
    accuracies(figure.add_subplot(grid[1, :]), runs)
    figure.suptitle(
        "The circuit needs its angles trained; a classical network of equal size is close",
        fontsize=11, x=0.01, ha="left", color=INK,
    )  # fmt: skip
    return figure


@torch.no_grad()
def regions(axes: Axes, method: Method, run: Run) -> None:
    """Draw the class that the network assigns to each point, and the test points."""
    side = torch.linspace(-2.3, 2.3, 81)
    x, y = torch.meshgrid(side, side, indexing="xy")
    scores = run.network(torch.stack([x, y], dim=-1).reshape(-1, 2)).softmax(-1)[:, 1]
    axes.contourf(x, y, scores.reshape(x.shape), levels=[0, 0.5, 1], colors=SPIRALS, alpha=0.22)
    test = run.data.test
    axes.scatter(*test.x.T, c=test.y, cmap=ListedColormap(SPIRALS), s=5, linewidths=0, alpha=0.9)
    axes.set_title(
        f"{method.name}\n{run.row.trainable:,} parameters, accuracy {run.row.accuracy:.3f}",
        fontsize=10,
        color=INK,
    )
    axes.set(xlim=(-2.3, 2.3), ylim=(-2.3, 2.3), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_color(method.color)
        spine.set_linewidth(1.6)


def accuracies(axes: Axes, runs: dict[str, list[Run]]) -> None:
    """Draw a dot per seed, a bar at the mean, and a diamond at the published accuracy."""
    for place, method in enumerate(METHODS):
        scores = [run.row.accuracy for run in runs[method.name]]
        axes.scatter(scores, [place] * len(scores), s=22, color=method.color, alpha=0.75, zorder=3)
        mean = statistics.fmean(scores)
        axes.plot([mean] * 2, [place - 0.28, place + 0.28], color=method.color, linewidth=2.5)
        axes.text(
            0.0, place - 0.36, method.name, transform=axes.get_yaxis_transform(), fontsize=8.5,
            color=INK, va="bottom",
        )  # fmt: skip
        axes.text(
            1.0, place - 0.36, f"{mean:.3f}", transform=axes.get_yaxis_transform(), fontsize=8.5,
            color=INK, va="bottom", ha="right",
        )  # fmt: skip
        if method.published is not None:
            axes.scatter(
                [method.published], [place], marker="D", s=46, facecolors="none", edgecolors=INK,
                linewidths=1.2, zorder=4, label="published" if place == 0 else None,
            )  # fmt: skip
    axes.set_ylim(len(METHODS) - 0.5, -0.7)
    axes.set_yticks([])
    axes.set_xlabel("test accuracy (one dot per seed, bar and number: mean)", fontsize=9)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left")
    axes.grid(axis="x", color="#e4e7eb")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, color=GREY)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, help="number of runs per method (default: 5)")
    parser.add_argument("--quick", action="store_true", help="a test of a few seconds")
    parser.add_argument(
        "--output", type=Path, default=Path("results/two_spirals"), help="folder for the results"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # threads cost more time than they save for small tensors
    if given.seeds is not None and given.seeds < 1:
        parser.error(f"--seeds must be at least 1 (got {given.seeds})")
    default = QUICK if given.quick else Budget()
    budget = Budget(**asdict(default) | {"seeds": given.seeds or default.seeds})
    runs, rows = experiment(budget)
    given.output.mkdir(parents=True, exist_ok=True)
    table = table_of(rows)
    write(rows, table, given.output)
    picture(runs).savefig(given.output / "two_spirals.png", dpi=110)
    print(f"\n{table}\nWritten to {given.output}: table.md, runs.csv, two_spirals.png")


if __name__ == "__main__":
    main()
