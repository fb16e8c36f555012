"""Pictures of the main job; each function returns a matplotlib figure that belongs to no window."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from qiskit import QuantumCircuit

from hybridopt.demo.job import Result, RunOutcome

INK = "#1f2933"
STAGE_COLORS = {"classical-start": "#7b8794", "quantum": "#6d28d9", "fine-tuned": "#0f766e"}
CONTROL_COLORS = {"classical": "#b45309", "random-subspace": "#be185d", "twin": "#2563eb"}
SHOWN_INSTRUCTIONS = 44  # of a circuit that may have thousands


def training_figure(outcome: RunOutcome) -> Figure:
    """Test metric and training loss against epochs, all stages in a row, controls beside them."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    score, loss = figure.subplots(1, 2)
    offset = 0
    joints: list[tuple[int, float, float]] = []
    for stage in outcome.stages:
        color = STAGE_COLORS[stage.name]
        epochs, metrics, losses = _curve(stage, offset)
        xs, ys, zs = zip(*joints[-1:], *zip(epochs, metrics, losses, strict=True), strict=True)
        marks = {"color": color, "marker": "o", "markersize": 5, "linewidth": 2}
        marks["markevery"] = range(1 if joints else 0, len(xs))  # the joint has its own color
        score.plot(xs, ys, label=stage.name, **marks)
        loss.plot(xs, zs, **marks)
        joints.append((epochs[-1], metrics[-1], losses[-1]))
        offset = epochs[-1]
    start = len(outcome.stages[0].history)
    for control in outcome.controls:
        skipped = 0 if control.name == "classical" else start
        epochs, metrics, losses = _curve(control, skipped)
        style = {"color": CONTROL_COLORS[control.name], "linewidth": 1.2, "linestyle": "--"}
        score.plot(epochs, metrics, label=f"control: {control.name}", **style)
        loss.plot(epochs, losses, **style)
    ends = [len(outcome.stages[0].history), offset - len(outcome.stages[-1].history)]
    for axes in (score, loss):
        _tidy(axes)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.axvspan(ends[0], ends[1], color=STAGE_COLORS["quantum"], alpha=0.06, linewidth=0)
        axes.text(
            sum(ends) / 2, 1.01, "on the circuit", transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=9, color=STAGE_COLORS["quantum"],
        )  # fmt: skip
    score.set_ylabel(f"test {metric_label(outcome)}")
    loss.set_ylabel("training loss")
    loss.set_yscale("log")
    score.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def comparison_figure(outcome: RunOutcome) -> Figure:
    """Final test metric of stages and controls, one dot each."""
    results = [*outcome.stages, *outcome.controls]
    figure = Figure(figsize=(9, 0.42 * len(results) + 1.1), layout="constrained")
    axes = figure.subplots()
    colors = {**STAGE_COLORS, **CONTROL_COLORS}
    for position, result in enumerate(reversed(results)):
        color = colors[result.name]
        axes.plot(result.test_metric, position, "o", color=color, markersize=9)
        axes.annotate(
            f"{result.test_metric:.3f}", (result.test_metric, position), xytext=(9, 0),
            textcoords="offset points", va="center", fontsize=9, color=INK,
        )  # fmt: skip
        if result.test_metric_before_fine_tuning is not None:
            before = result.test_metric_before_fine_tuning
            axes.plot(before, position, "o", color=color, markersize=13, fillstyle="none")
    names = [
        result.name if result in outcome.stages else f"control: {result.name}"
        for result in reversed(results)
    ]
    axes.set_yticks(range(len(results)), names)
    axes.set_ylim(-0.6, len(results) - 0.4)
    axes.margins(x=0.12)
    axes.set_xlabel(f"test {metric_label(outcome)} (open circles: before fine-tuning)")
    axes.grid(axis="x", color="#e4e7eb")
    axes.set_axisbelow(True)
    _tidy(axes)
    return figure


def weights_figure(outcome: RunOutcome) -> Figure:
    """Where the weights are after each stage, and how far the circuit moved each."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    histogram, moves = figure.subplots(1, 2)
    colors = list(STAGE_COLORS.values())
    values = [weights.numpy() for weights in outcome.weights.values()]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    bins = np.linspace(low, high, 60)
    for (name, weights), color in zip(outcome.weights.items(), colors, strict=True):
        histogram.hist(
            weights.numpy(), bins=bins, histtype="step", linewidth=1.6, color=color, label=name
        )
    histogram.set(xlabel="weight", ylabel="number of weights")
    histogram.legend(frameon=False, fontsize=8)
    start, after, _ = values
    moves.plot([low, high], [low, high], color="#cbd2d9", linewidth=1)
    moves.plot(start, after, ".", color=STAGE_COLORS["quantum"], markersize=3, alpha=0.5)
    moves.set(xlabel="weight before the circuit", ylabel="weight after the circuit")
    for axes in (histogram, moves):
        _tidy(axes)
    return figure


def circuit_figure(circuit: QuantumCircuit) -> Figure:
    """The first gates of the circuit, as Qiskit draws them."""
    head = circuit.copy_empty_like()
    for instruction in circuit.data[:SHOWN_INSTRUCTIONS]:
        head.append(instruction)
    style = {"fontsize": 10, "subfontsize": 7}
    figure = head.draw("mpl", fold=-1, scale=0.6, idle_wires=True, style=style)
    assert isinstance(figure, Figure)
    return figure


def metric_label(outcome: RunOutcome) -> str:
    """The metric as a person writes it."""
    return "accuracy" if outcome.metric_name == "accuracy" else "R²"


def _curve(result: Result, offset: int) -> tuple[list[int], list[float], list[float]]:
    metrics = [value if value is not None else float("nan") for value in result.history.metric]
    epochs = [offset + number for number in range(1, len(metrics) + 1)]
    return epochs, metrics, result.history.train_loss


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
