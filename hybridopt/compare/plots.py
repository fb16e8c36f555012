"""Pictures of a study as matplotlib figures without windows."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from jaxtyping import Float64

from hybridopt._plots import COLORS, INK, Axes, Figure, label_ends, legend, subplots
from hybridopt.compare.results import Results, Run
from hybridopt.compare.statistics import band, percent

AXES = {"steps": "steps", "seconds": "training seconds", "settings": "settings"}
WIDE = 30  # an axis with a larger ratio of its ends is logarithmic
FLAT = 5  # losses with a smaller ratio are on a linear axis, whose ticks are simpler
WIDTHS = 3.4, 1.4  # of the first and the last line in points, so that equal curves are seen
LABEL, LEGEND = 28, 40  # letters per line of a name


def method_colors(results: Results) -> dict[str, str]:
    """Return the colour of each method, which is the same in all pictures of a study."""
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(results.methods)}


def curves_figure(results: Results, *, window: bool = False) -> tuple[Figure, Any]:
    """Plot mean and range of test metric and training loss against steps, seconds and settings."""
    counted = any(run.settings for run in results.runs if run.done)
    losses = [point.train_loss for run in results.runs for point in run.curve]
    known = [loss for loss in losses if loss is not None]
    steep = bool(known) and max(known) > FLAT * min(known) > 0
    kinds = [kind for kind in AXES if kind != "settings" or counted]
    figure, grid = subplots(
        3.5 * len(kinds) + 0.4, 5.1, 2, len(kinds), squeeze=False, window=window
    )
    for kind, (upper, lower), first in zip(kinds, grid.T, (True, False, False), strict=False):
        _draw(upper, results, kind, "test_metric", f"test {results.label}" if first else "")
        _draw(lower, results, kind, "train_loss", "training loss" if first else "")
        if steep:
            lower.set_yscale("log")
    legend(figure, *grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure, grid


def draw_metric(axes: Axes, results: Results) -> None:
    """Plot mean and range of the test metric against steps."""
    _draw(axes, results, "steps", "test_metric", f"test {results.label}")
    label_ends(axes)


def differences_figure(results: Results) -> Figure:
    """Plot the test metrics of all seeds, and the differences to the control with intervals."""
    methods = results.methods
    lines = sum(max(1, len(wrap(name, LABEL))) for name in methods)
    height = 0.42 * len(methods) + 0.15 * (lines - len(methods)) + 1.4
    figure, (left, right) = subplots(9, height, columns=2, grid="x", sharey=True)
    found = {one.method: one.interval for one in results.differences()}
    colors = method_colors(results)
    for position, method in enumerate(reversed(methods)):
        color = colors[method]
        values = [run.test_metric for run in results.runs_of(method)]
        left.plot(values, [position] * len(values), "o", color=color, alpha=0.45, markersize=5)
        mean = results.spread(method, "test_metric")[0]  # nan without values, which is not drawn
        left.plot(mean, position, "|", color=color, markersize=18, mew=2.5)
        interval = found.get(method)
        if interval is not None:
            right.plot([interval.low, interval.high], [position, position], color=color, lw=2)
            right.plot(interval.mean, position, "o", color=color, markersize=7)
    left.set_yticks(range(len(methods)), [_shown(name, LABEL) for name in reversed(methods)])
    left.set_ylim(-0.6, len(methods) - 0.4)
    left.set_xlabel(f"test {results.label}: seeds and their mean")
    right.axvline(0, color=INK, lw=1)
    right.set_xlabel(
        f"minus {_shown(results.control, LABEL)}:\n"
        f"simultaneous {percent(results.confidence)} intervals"
    )
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=5)
    right.tick_params(left=False)
    return figure


def _draw(axes: Axes, results: Results, kind: str, value: str, label: str) -> None:
    for number, (method, color) in enumerate(method_colors(results).items()):
        curves = [_curve(run, kind, value) for run in results.runs_of(method)]
        curves = [one for one in curves if one.size and one[0, -1] > 0]
        if not curves:
            continue
        x, mean, low, high = band(curves)
        style = "-" if number < len(COLORS) else "--"
        width = np.interp(number, (0, max(1, len(results.methods) - 1)), WIDTHS)
        axes.plot(x, mean, color=color, lw=width, ls=style, label=_shown(method, LEGEND))
        axes.fill_between(x, low, high, color=color, alpha=0.12, lw=0)
    axes.set_xlabel(AXES[kind])
    axes.set_ylabel(label)
    ends = [np.asarray(line.get_xdata(), dtype=np.float64) for line in axes.get_lines()]
    wide = ends and max(x.max() for x in ends) > WIDE * min(x.min() for x in ends)
    if kind != "steps" and wide:  # the ticks of a short logarithmic axis are crowded
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter("")


def _curve(run: Run, kind: str, value: str) -> Float64[np.ndarray, "2 points"]:
    """Return abscissas and values of a curve; abscissas of a logarithmic axis are positive."""
    start = -1 if kind == "steps" else 0
    points = [p for p in run.curve if getattr(p, value) is not None and getattr(p, kind) > start]
    rows = [[getattr(p, name) for p in points] for name in (kind, value)]
    return np.array(rows, dtype=np.float64)


def _shown(name: str, width: int) -> str:
    """Return a name in lines of a width, with dollar signs escaped."""
    return "\n".join(wrap(name, width)).replace("$", r"\$")
