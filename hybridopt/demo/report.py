"""Report of a main job: page, pictures, results, network and circuit."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterable
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qasm3, qpy

from hybridopt import _plots
from hybridopt._environment import made_with
from hybridopt._files import output_folder, write_bytes, write_text
from hybridopt._pages import inlined, render
from hybridopt._plots import Figure
from hybridopt.demo.job import Result, RunOutcome, RunSettings
from hybridopt.storage.torch_file import dump

SCHEMA = 1
COLORS = {
    "classical-start": _plots.GRAY, "quantum": _plots.VIOLET, "fine-tuned": _plots.TEAL,
    "classical": _plots.AMBER, "random-subspace": _plots.PINK, "twin": _plots.BLUE,
}  # fmt: skip
# of controls: points at the same place stay visible
MARKERS: dict[str, dict[str, Any]] = {
    "classical": {"marker": "o", "markersize": 8, "fillstyle": "none"},
    "random-subspace": {"marker": "s", "markersize": 4.5, "fillstyle": "none"},
    "twin": {"marker": ".", "markersize": 6},
}
SHOWN_INSTRUCTIONS = 44  # the circuit may have thousands


def write_report(outcome: RunOutcome, folder: str | Path) -> Path:
    """Write report.html, pictures, results.json, network.pt, circuit.qpy and circuit.qasm.

    An interruption before the first file leaves the folder unchanged. A missing folder is created;
    other files are kept.

    Returns:
        Path of report.html.

    Raises:
        OutputError: If the folder cannot be written.
    """
    target = output_folder(folder)
    figures = {
        "training": training_figure(outcome), "comparison": comparison_figure(outcome),
        "weights": weights_figure(outcome), "circuit": circuit_figure(outcome.circuit),
    }  # fmt: skip
    pictures = {f"{name}.png": _plots.png(figure) for name, figure in figures.items()}
    drawings = {name: _plots.svg(figures[name]) for name in ("comparison", "circuit")}
    for name in ("training", "weights"):
        drawings |= {f"{name}_{n}": one for n, one in enumerate(_plots.panels(figures[name]))}
    results = results_dict(outcome)
    header, rows = table_rows(outcome)
    page = render(
        files("hybridopt.demo").joinpath("templates/report.html").read_text("utf-8"),
        outcome=outcome, results=results, header=header, rows=rows,
        command=command(outcome.settings), num_stages=len(outcome.stages),
        metric=_metric_label(outcome), pictures=inlined(drawings),
    )  # fmt: skip
    gates = qasm3.dumps(outcome.circuit)
    state, circuit = dump(outcome.network.state_dict()), io.BytesIO()
    qpy.dump(outcome.circuit, circuit)
    for name, content in pictures.items():
        write_bytes(target / name, content)
    write_bytes(target / "network.pt", state)
    write_bytes(target / "circuit.qpy", circuit.getvalue())
    write_text(target / "circuit.qasm", gates)
    write_text(target / "results.json", json.dumps(results, indent=2) + "\n")
    return write_text(target / "report.html", page)


def results_dict(outcome: RunOutcome) -> dict[str, Any]:
    """Return the content of results.json."""
    name, qubits = f"test_{outcome.metric_name}", outcome.circuit.num_qubits
    return {
        "schema": SCHEMA,
        "data": outcome.data.name,
        "task": outcome.data.task,
        "settings": asdict(outcome.settings),
        "stages": [_result_dict(result, name) for result in outcome.stages],
        "controls": [_result_dict(result, name) for result in outcome.controls],
        "circuit": {"num_qubits": qubits, "form": "full", "scales": outcome.circuit_scales},
        "seconds": outcome.seconds,
        **made_with(),
    }


def command(settings: RunSettings) -> str:
    """Return the command line for these settings, without default values."""
    words = ["hybridopt", "run"]
    for option in fields(settings):
        value = getattr(settings, option.name)
        if value != option.default:
            words += [f"--{option.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def table_rows(outcome: RunOutcome) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table on the terminal and the page."""
    header = [
        "stage", _metric_label(outcome), "train s", "infer ms", "settings", "shots", "parameters",
        "change",
    ]  # fmt: skip
    rows = []
    for one in (*outcome.stages, *outcome.controls):
        change = one.conversion_change
        times = f"{one.training_seconds:.2f}", f"{1e3 * one.inference_seconds:.1f}"
        counts = (f"{count:,}" for count in (one.cost.settings, one.cost.shots, one.trainable))
        shown = "" if change is None else f"{change:.1e}" if change else "0"
        rows.append([one.name, f"{one.test_metric:.3f}", *times, *counts, shown])
    return header, rows


def training_figure(outcome: RunOutcome) -> Figure:
    """Plot test metric and training loss of consecutive stages, and of controls, over epochs.

    The stages are a broad line, so that a control with equal values is visible on it.
    """
    figure, both = _plots.subplots(9, 3.8, columns=2)
    score, loss = both
    epoch, first = 0, len(outcome.stages[0].history)
    joint: list[tuple[int, float, float]] = []
    for stage in outcome.stages:
        points = [*joint, *_curve(stage, epoch)]
        label = "through the circuit" if stage is outcome.stages[-1] else f"_{stage.name}"
        style = {"color": COLORS[stage.name], "linewidth": 7, "solid_capstyle": "butt"}
        _draw(both, points, label=label, alpha=0.4, **style)
        joint, epoch = points[-1:], points[-1][0]
    for control in outcome.controls:
        points = _curve(control, 0 if control.name == "classical" else first)
        style = {"color": COLORS[control.name], "linewidth": 1.4, **MARKERS[control.name]}
        _draw(both, points, label=f"control: {control.name}", **style)
    last = epoch - len(outcome.stages[-1].history)
    for axes in both:
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.axvspan(first, last, color=_plots.VIOLET, alpha=0.06, linewidth=0)
        axes.text(
            (first + last) / 2, 1.01, "on the circuit", transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=9, color=_plots.VIOLET,
        )  # fmt: skip
    classes, test = outcome.data.task == "classification", outcome.data.test
    score.set_ylabel(f"test {_metric_label(outcome)}")
    unit = "cross entropy [nat]" if classes else "mean squared error"
    loss.set(ylabel=f"training loss: {unit}", yscale="log")
    if classes and test is not None:
        score.text(
            0.98, 0.03, f"one test sample = {1 / len(test):.2g}", transform=score.transAxes,
            ha="right", fontsize=8.5, color=_plots.SOFT,
        )  # fmt: skip
    for axes in both:
        _plots.label_ends(axes)
    return figure


def comparison_figure(outcome: RunOutcome) -> Figure:
    """Plot the final test metrics of stages and controls."""
    results = [*outcome.stages, *outcome.controls][::-1]
    figure, axes = _plots.subplots(9, 0.42 * len(results) + 1.1, grid="x")
    for position, result in enumerate(results):
        color, before = COLORS[result.name], result.test_metric_before_fine_tuning
        axes.plot(result.test_metric, position, "o", color=color, markersize=9)
        axes.annotate(
            f"{result.test_metric:.3f}", (result.test_metric, position), xytext=(9, 0),
            textcoords="offset points", va="center", fontsize=9, color=_plots.INK,
        )  # fmt: skip
        if before is not None:
            axes.plot(before, position, "o", color=color, markersize=13, fillstyle="none")
    names = ["control: " * (result in outcome.controls) + result.name for result in results]
    axes.set_yticks(range(len(results)), names)
    axes.set_ylim(-0.6, len(results) - 0.4)
    axes.margins(x=0.12)
    axes.set_xlabel(f"test {_metric_label(outcome)} (open circles: before fine-tuning)")
    return figure


def weights_figure(outcome: RunOutcome) -> Figure:
    """Plot the distribution of weights after each stage, and their changes on the circuit."""
    figure, (histogram, moves) = _plots.subplots(9, 3.4, columns=2)
    vectors = [weights.numpy() for weights in outcome.weights.values()]
    low, high = min(one.min() for one in vectors), max(one.max() for one in vectors)
    bins, colors = np.linspace(low, high, 60), (_plots.GRAY, _plots.VIOLET, _plots.TEAL)
    for name, values, color in zip(outcome.weights, vectors, colors, strict=True):
        histogram.hist(values, bins, histtype="step", linewidth=1.6, color=color, label=name)
    histogram.set(xlabel="weight", ylabel="number of weights")
    _plots.legend(histogram)
    moves.plot([low, high], [low, high], color=_plots.LINES, linewidth=1)
    moves.plot(*vectors[:2], ".", color=_plots.VIOLET, markersize=3, alpha=0.5)
    moves.set(xlabel="weight before the circuit", ylabel="weight after the circuit")
    return figure


def circuit_figure(circuit: QuantumCircuit) -> Figure:
    """Draw the first gates of the circuit with Qiskit."""
    head = circuit.copy_empty_like()
    for instruction in circuit.data[:SHOWN_INSTRUCTIONS]:
        head.append(instruction)
    style = {"fontsize": 14, "subfontsize": 11}
    figure: Figure = head.draw("mpl", fold=-1, scale=0.6, idle_wires=True, style=style)
    return figure


def _metric_label(outcome: RunOutcome) -> str:
    return "accuracy" if outcome.metric_name == "accuracy" else "R²"


def _curve(result: Result, offset: int) -> list[tuple[int, float, float]]:
    """Return epoch, test metric and training loss of each epoch."""
    return [
        (epoch, np.nan if one.metric is None else one.metric, one.train_loss)
        for epoch, one in enumerate(result.history, start=offset + 1)
    ]


def _draw(both: Iterable[Any], points: list[tuple[int, float, float]], **style: Any) -> None:
    epochs, *columns = zip(*points, strict=True)
    for axes, values in zip(both, columns, strict=True):
        axes.plot(epochs, values, **style)


def _result_dict(result: Result, metric: str) -> dict[str, Any]:
    content = {
        "name": result.name,
        metric: result.test_metric,
        "training_seconds": result.training_seconds,
        "inference_seconds": result.inference_seconds,
        "steps": result.steps,
        **asdict(result.cost),
        "trainable": result.trainable,
        "largest_change_at_conversion": result.conversion_change,
        "history": result.history.to_dict(),
    }
    if result.test_metric_before_fine_tuning is not None:
        content[f"{metric}_before_fine_tuning"] = result.test_metric_before_fine_tuning
    return content
