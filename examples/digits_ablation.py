"""Accuracy with few trainable parameters: every bridge and every control on digits, at four sizes.

All methods train the weights of one network, 64-20-10 (1,510 weights), on the same samples with
Adam. The learning rate of each method at each size comes from the same trials on a validation part.
A seed defines initial weights, order of samples, random subspaces and angles. The split is fixed,
so that no test sample influences a learning rate.

The memory bridge is trained on Aer and merged after every epoch. Without merging, the sine limits
the change of a weight to its scale, and 25 epochs reach between .83 and .91. The generator is
trained by its twin, which is the same function to 1e-10. Its first steps also run on Aer, for a
comparison, and the test uses weights that are read from its circuit. `--generator-on aer` runs all
steps on Aer, which takes about four times longer.

    python examples/digits_ablation.py                    # 7 to 10 minutes on two cores
    python examples/digits_ablation.py --data mnist5k     # 784-20-10, some hours
    python examples/digits_ablation.py --runs examples/pictures/digits_ablation.csv  # picture only
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from digits_ablation_picture import Line, draw
from many_runs import many, markdown, read, spread, with_spread, write
from torch import nn
from torch.nn.utils import parameters_to_vector

import hybridopt as ho
from hybridopt.bridges import Bridge, Generator, Memory, RandomSubspace, Twin, WalshSubspace

HIDDEN = 20
SIZES = (307, 505, 769, 1297)
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
CHECKED_STEPS = 5  # steps of a generator that are compared with its twin
VALIDATION = 0.2
PANELS = (  # of the picture; the first two lines of a panel are compared in its title
    ("memory", "random-subspace", "walsh-subspace", "classical-narrow"),
    ("generator", "generator-frozen", "generator-published", "classical-narrow"),
)
INK = "#1f2933"


@dataclass(frozen=True)
class Plan:
    """Sizes, budget and tuning of the comparison."""

    data: str = "digits"
    sizes: tuple[int, ...] = SIZES
    rates: tuple[float, ...] = LEARNING_RATES
    seeds: int = 3
    epochs: int = 25
    batch_size: int = 64
    samples: int | None = None
    generator_on: str = "twin"


@dataclass(frozen=True)
class Task:
    """One training run; without a seed, it is tested on the validation part."""

    plan: Plan
    method: str
    size: int | None
    rate: float
    seed: int | None


@dataclass(frozen=True)
class Row:
    """Result of a training run."""

    method: str
    trainable: int
    seed: int | None
    learning_rate: float
    accuracy: float
    seconds: float
    settings: int
    trained_on: str
    gap_to_twin: float | None  # largest difference of a weight


@dataclass(frozen=True)
class Case:
    """Network, number of trainable parameters, and seed."""

    network: nn.Sequential
    size: int
    seed: int

    @property
    def num_qubits(self) -> int:
        """Number of qubits of the generator, which has one outcome per weight."""
        return (sum(p.numel() for p in self.network.parameters()) - 1).bit_length()


@dataclass(frozen=True)
class Method:
    """Line of the comparison: a bridge or a network for each size."""

    label: str
    color: str
    make: Callable[[Case], Bridge | nn.Module]
    is_control: bool = False
    sized: bool = True


def generator(case: Case, *, residual: bool = True) -> Generator:
    """Return a generator; its mapping has m + 2 of the parameters, the angles are the rest."""
    angles = case.size - case.num_qubits - 2
    return Generator(num_angles=angles, residual=residual, seed=case.seed)


def frozen_generator(case: Case) -> Generator:
    """Return a generator with frozen angles and a hidden layer of as many parameters."""
    angles, width = case.size - case.num_qubits - 2, (case.size - 1) // (case.num_qubits + 3)
    return Generator(num_angles=angles, frozen=True, mapping="tanh", width=width, seed=case.seed)


def random_subspace(case: Case) -> RandomSubspace:
    """Return a random subspace for each seed."""
    return RandomSubspace(num_parameters=case.size, seed=case.seed)


def narrow(case: Case) -> nn.Module:
    """Return a plain network with as many parameters, that is, fewer hidden units."""
    inputs, outputs = case.network[0].in_features, case.network[2].out_features
    return mlp(inputs, hidden_units(case.size, inputs, outputs), outputs, case.seed)


def hidden_units(size: int, inputs: int, outputs: int) -> int:
    """Return the hidden units of a plain network with about ``size`` parameters, or 0."""
    return round((size - outputs) / (inputs + 1 + outputs))


METHODS = {
    "memory": Method(
        "sparse memory", "#6d28d9", lambda case: Memory(num_angles=case.size, merge="epoch")
    ),
    "generator": Method("generator", "#0f766e", generator),
    "generator-published": Method(
        "generator, as published", "#2563eb", lambda case: generator(case, residual=False)
    ),
    "memory-dense": Method("dense memory", "#6d28d9", lambda _: Memory(merge="epoch"), sized=False),
    "memory-twin": Method(
        "memory twin",
        "#a78bfa",
        lambda case: Twin(num_angles=case.size, merge="epoch"),
        is_control=True,
    ),
    "generator-frozen": Method("frozen generator", "#0891b2", frozen_generator, is_control=True),
    "random-subspace": Method("random subspace", "#be185d", random_subspace, is_control=True),
    "walsh-subspace": Method(
        "Walsh subspace",
        "#a16207",
        lambda case: WalshSubspace(num_parameters=case.size),
        is_control=True,
    ),
    "classical-narrow": Method("classical, fewer units", INK, narrow, is_control=True),
    "classical": Method("classical", INK, lambda case: case.network, is_control=True, sized=False),
}


def mlp(inputs: int, hidden: int, outputs: int, seed: int) -> nn.Sequential:
    """Return a network with one hidden layer and random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def load(plan: Plan, *, tuning: bool) -> ho.Dataset:
    """Return training and test part; for tuning, two parts of the training part."""
    data = ho.load_dataset(plan.data, seed=0)
    x, y = data.train.x, data.train.y
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[: plan.samples]
    if not tuning:
        return replace(data, train=ho.data.Part(x[order], y[order]))
    held_out = int(VALIDATION * len(order))
    kept, validation = order[held_out:], order[:held_out]
    parts = (ho.data.Part(x[rows], y[rows]) for rows in (kept, validation))
    return replace(data, train=next(parts), test=next(parts))


def prepare(
    plan: Plan, made: Bridge | nn.Module, network: nn.Module, *, tuning: bool
) -> tuple[nn.Module, str]:
    """Return the network to train, and the name of its simulator."""
    if isinstance(made, nn.Module):
        return made, "torch"
    is_generator = isinstance(made, Generator)
    if is_generator and made.frozen:  # its single reading is fast
        return ho.to_quantum(network, made), "Aer"
    if (is_generator and plan.generator_on == "twin") or (tuning and isinstance(made, Memory)):
        return ho.to_quantum(network, Twin(of=made)), "twin"
    circuit = isinstance(made, Generator | Memory)
    rule = "adjoint" if is_generator else "parameter-shift"
    return ho.to_quantum(network, made, gradient=rule), "Aer" if circuit else "torch"


def run(task: Task) -> Row:
    """Train a method, convert it to a plain network, and test it."""
    torch.set_num_threads(1)
    tuning, seed, plan = task.seed is None, task.seed or 0, task.plan
    data = load(plan, tuning=tuning)
    network = mlp(data.num_features, HIDDEN, data.num_outputs, seed)
    made = METHODS[task.method].make(Case(network, task.size or 0, seed))
    trained, where = prepare(plan, made, network, tuning=tuning)
    numbers = sum(p.numel() for p in trained.parameters() if p.requires_grad)
    before = getattr(getattr(trained, "executor", None), "usage", ho.Cost())
    options = {"lr": task.rate, "epochs": plan.epochs, "batch_size": plan.batch_size, "seed": seed}
    history = ho.fit(trained, data, **options)  # Adam
    spent = getattr(getattr(trained, "executor", None), "usage", ho.Cost()) - before
    gap = None
    if isinstance(made, Generator) and where == "twin" and not tuning:
        gap = gap_of_first_steps(made, network, data, options)
        trained = on_circuit(made, network, trained)
    elif isinstance(made, Memory) and not tuning:
        twin = ho.to_quantum(network, Twin(of=made))
        ho.fit(twin, data, **options)
        gap = largest_difference(trained, twin)
    readout = "circuit" if hasattr(trained, "circuit") else None
    classical = ho.to_classical(trained, readout=readout) if readout else trained
    return Row(
        method=task.method,
        trainable=numbers,
        seed=task.seed,
        learning_rate=task.rate,
        accuracy=accuracy(classical, data),
        seconds=sum(history.seconds),
        settings=spent.settings,
        trained_on=where,
        gap_to_twin=gap,
    )


def on_circuit(made: Generator, network: nn.Module, twin: nn.Module) -> ho.QuantumNetwork:
    """Return the circuit with the angles and the mapping of its twin."""
    circuit = ho.to_quantum(network, made, gradient="adjoint")
    circuit.load_state_dict(twin.state_dict())
    return circuit


def gap_of_first_steps(
    made: Generator, network: nn.Module, data: ho.Dataset, options: dict[str, object]
) -> float:
    """Return the largest difference of a weight after some steps on Aer and of the twin."""
    few = slice(0, CHECKED_STEPS * int(str(options["batch_size"])))
    part = replace(data, train=ho.data.Part(data.train.x[few], data.train.y[few]))
    pair = ho.to_quantum(network, made, gradient="adjoint"), ho.to_quantum(network, Twin(of=made))
    for quantum in pair:
        ho.fit(quantum, part, **{**options, "epochs": 1})
    return largest_difference(*pair)


def largest_difference(first: nn.Module, second: nn.Module) -> float:
    """Return the largest difference of a weight."""
    vectors = [
        parameters_to_vector(ho.to_classical(q).parameters()).detach() for q in (first, second)
    ]
    return float((vectors[0] - vectors[1]).abs().max())


@torch.no_grad()
def accuracy(network: nn.Module, data: ho.Dataset) -> float:
    """Return the accuracy on the test part."""
    assert data.test is not None
    return float((network(data.test.x).argmax(1) == data.test.y).double().mean())


def compare(plan: Plan, workers: int) -> list[Row]:
    """Tune every method at every size by equal trials, then train it with every seed."""
    data = load(plan, tuning=True)
    every = [
        (name, size)
        for name, method in METHODS.items()
        for size in (plan.sizes if method.sized else (None,))
        if name != "classical-narrow" or hidden_units(size, data.num_features, data.num_outputs)
    ]
    every.sort(key=lambda pair: ("generator" not in pair[0], -(pair[1] or 0)))  # longest first
    trials = [Task(plan, name, size, rate, None) for name, size in every for rate in plan.rates]
    with many(workers) as each:
        tried = each(run, trials, "tuning")
        rates: dict[tuple[str, int | None], float] = {}
        for first, pair in enumerate(every):
            rows = tried[first * len(plan.rates) :][: len(plan.rates)]
            rates[pair] = max(rows, key=lambda row: row.accuracy).learning_rate
        finals = [
            Task(plan, name, size, rates[name, size], seed)
            for name, size in every
            for seed in range(plan.seeds)
        ]
        return each(run, finals, "seeds")


def grouped(rows: Sequence[Row]) -> dict[str, dict[int, list[Row]]]:
    """Return rows by method and number of trainable parameters."""
    groups: dict[str, dict[int, list[Row]]] = {name: {} for name in METHODS}
    for row in rows:
        groups[row.method].setdefault(row.trainable, []).append(row)
    return {name: dict(sorted(sizes.items())) for name, sizes in groups.items() if sizes}


HEADER = (
    "method", "trainable", "test accuracy", "learning rate", "trained on", "seconds", "settings",
    "largest difference from the twin",
)  # fmt: skip


def table_of(rows: Sequence[Row]) -> str:
    """Return a table of means over seeds."""
    lines = []
    for name, sizes in grouped(rows).items():
        control = "control: " if METHODS[name].is_control else ""
        for numbers, group in sizes.items():
            gaps = [row.gap_to_twin for row in group if row.gap_to_twin is not None]
            cells = [
                f"{control}{METHODS[name].label}",
                f"{numbers:,}",
                with_spread(row.accuracy for row in group),
                f"{group[0].learning_rate:g}",
                group[0].trained_on,
                f"{statistics.fmean(row.seconds for row in group):.1f}",
                f"{group[0].settings:,}",
                f"{max(gaps):.0e}" if gaps else "",
            ]
            lines.append(cells)
    return markdown(HEADER, lines)


def panels_of(rows: Sequence[Row]) -> dict[str, list[Line]]:
    """Return the lines of the panels; the twin of the memory, which equals it, is in the table."""
    lines = lines_of(rows)
    drawn = [[lines[name] for name in names if name in lines] for names in PANELS]
    return {title_of(*panel[:2]): panel for panel in drawn}


def title_of(bridge: Line, control: Line) -> str:
    """Return the message of a panel: the largest difference of the means."""
    pairs = zip(bridge.means, control.means, strict=True)
    gap = max(abs(first - second) for first, second in pairs)
    other = control.label.removeprefix("control: ")
    return f"{bridge.label} and {other} differ by at most {gap:.3f}"


def lines_of(rows: Sequence[Row]) -> dict[str, Line]:
    """Return the lines of all methods by their names."""
    lines = {}
    for name, sizes in grouped(rows).items():
        method = METHODS[name]
        spreads = (spread(row.accuracy for row in group) for group in sizes.values())
        means, deviations = zip(*spreads, strict=True)
        label = f"control: {method.label}" if method.is_control else method.label
        style = "dashed" if method.is_control else "solid"
        style = "level" if name == "classical" else style
        lines[name] = Line(label, method.color, tuple(sizes), means, deviations, style)
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", choices=("digits", "mnist5k"), default="digits")
    parser.add_argument("--output", type=Path, default=Path("results/digits_ablation"))
    parser.add_argument("--epochs", type=int, default=Plan.epochs)
    parser.add_argument("--seeds", type=int, default=Plan.seeds)
    parser.add_argument(
        "--workers", type=int, default=2, help="number of processes with one core each"
    )
    parser.add_argument("--generator-on", choices=("twin", "aer"), default="twin")
    parser.add_argument("--quick", action="store_true", help="one epoch, as a test of the script")
    parser.add_argument("--runs", type=Path, help="file of runs to draw; nothing is trained")
    given = parser.parse_args(arguments)
    plan = Plan(
        data=given.data, epochs=given.epochs, seeds=given.seeds, generator_on=given.generator_on
    )
    if given.quick:
        plan = replace(plan, sizes=(100,), rates=(0.1,), seeds=2, epochs=1, samples=100)
    given.output.mkdir(parents=True, exist_ok=True)
    rows = read(given.runs, Row) if given.runs else compare(plan, given.workers)
    table = table_of(rows)
    write(rows, table, given.output)
    print(table)
    title = (
        f"{plan.data}, {HIDDEN} hidden units, {plan.epochs} epochs of Adam, "
        f"mean ± deviation of {plan.seeds} seeds"
    )
    images = len(load(plan, tuning=False).test.x)
    draw(panels_of(rows), title, images).savefig(given.output / "accuracy.png", dpi=120)
    print(f"Written: {given.output}/runs.csv, table.md, accuracy.png")


if __name__ == "__main__":
    main()
