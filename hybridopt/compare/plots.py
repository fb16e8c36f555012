"""Pictures of a study; each function returns a matplotlib figure that belongs to no window."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from hybridopt.compare.results import Point, Results, Run
from hybridopt.compare.statistics import band, percent

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

INK = "#1f2933"
GRID = "#e4e7eb"
COLORS = (
    "#b45309", "#6d28d9", "#2563eb", "#be185d", "#0f766e", "#4d7c0f", "#7b8794", "#0891b2",
    "#a16207", "#9333ea",
)  # fmt: skip
AXES = {"steps": "steps", "seconds": "training seconds", "settings": "settings"}
WIDE = 30  # ratio of ends from which an axis is logarithmic
LABEL, LEGEND = 28, 40  # letters of a name in one line


def curves_figure(results: Results, *, columns: int = 3) -> matplotlib.figure.Figure:
    """Test metric and training loss against steps, seconds and settings: small multiples.

    Lines are means over the seeds, bands their range. Methods without circuits have no settings
    and no line there; the column is left out if no method has any.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    counted = any(run.settings for run in results.runs if run.done)
    kinds = [kind for kind in AXES if kind != "settings" or counted]
    wide = min(columns, len(kinds))
    bands = -(-len(kinds) // wide)
    figure = Figure(figsize=(3.5 * wide + 0.4, 4.6 * bands + 0.5), layout="constrained")
    grid = np.asarray(figure.subplots(2 * bands, wide, squeeze=False))
    for place in range(wide * bands):
        upper, lower = grid[2 * (place // wide) : 2 * (place // wide) + 2, place % wide]
        if place >= len(kinds):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        first = place % wide == 0
        label = f"test {results.label}" if first else ""
        _draw(upper, results, kinds[place], "test_metric", label)
        _draw(lower, results, kinds[place], "train_loss", "training loss" if first else "")
        lower.set_yscale("log")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=1 if wide == 1 else 3,
        frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def differences_figure(results: Results) -> matplotlib.figure.Figure:
    """Each method's test metric seed by seed, and its difference to the control with interval."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    methods = results.methods
    lines = sum(max(1, len(wrap(name, LABEL))) for name in methods)
    height = 0.42 * len(methods) + 0.15 * (lines - len(methods)) + 1.4
    figure = Figure(figsize=(9, height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    found = {one.method: one.interval for one in results.differences()}
    for position, method in enumerate(reversed(methods)):
        color = COLORS[methods.index(method) % len(COLORS)]
        values = [run.test_metric for run in results.runs_of(method)]
        left.plot(values, [position] * len(values), "o", color=color, alpha=0.45, markersize=5)
        if values:
            left.plot(
                results.spread(method, "test_metric")[0],
                position,
                "|",
                color=color,
                markersize=18,
                mew=2.5,
            )
        interval = found.get(method)
        if interval is not None:
            right.plot([interval.low, interval.high], [position, position], color=color, lw=2)
            right.plot(interval.mean, position, "o", color=color, markersize=7)
    left.set_yticks(range(len(methods)), [_shown(name, LABEL) for name in reversed(methods)])
    left.set_ylim(-0.6, len(methods) - 0.4)
    left.set_xlabel(f"test {results.label}: seeds, and their mean")
    right.axvline(0, color=INK, lw=1)
    right.set_xlabel(
        f"minus {_shown(results.control, LABEL)}:\n{percent(results.confidence)} intervals together"
    )
    for axes in (left, right):
        _tidy(axes)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
    right.tick_params(left=False)
    return figure


def _draw(axes: matplotlib.axes.Axes, results: Results, kind: str, value: str, label: str) -> None:
    for number, method in enumerate(results.methods):
        curves = [_curve(run, kind, value) for run in results.runs_of(method)]
        curves = [(x, y) for x, y in curves if len(x) and x[-1] > 0]
        if not curves:
            continue
        x, mean, low, high = band(curves)
        color = COLORS[number % len(COLORS)]
        style = "-" if number < len(COLORS) else "--"
        axes.plot(x, mean, color=color, lw=1.8, ls=style, label=_shown(method, LEGEND))
        axes.fill_between(x, low, high, color=color, alpha=0.12, lw=0)
    axes.set_xlabel(AXES[kind])
    axes.set_ylabel(label)
    if kind != "steps":
        _log_if_wide(axes)
    _tidy(axes)


def _curve(
    run: Run, kind: str, value: str
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
    points: Sequence[Point] = [p for p in run.curve if getattr(p, value) is not None]
    if kind != "steps":
        points = [p for p in points if getattr(p, kind) > 0]  # the axis may be logarithmic
    x = np.array([getattr(p, kind) for p in points], dtype=np.float64)
    return x, np.array([getattr(p, value) for p in points], dtype=np.float64)


def _log_if_wide(axes: matplotlib.axes.Axes) -> None:
    """A log axis where methods spend very differently; over less, its ticks would be crowded."""
    from matplotlib.ticker import NullFormatter  # noqa: PLC0415

    ends = [np.asarray(line.get_xdata(), dtype=np.float64) for line in axes.get_lines()]
    if ends and max(x.max() for x in ends) > WIDE * min(x.min() for x in ends):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())


def _shown(name: str, width: int) -> str:
    """A name in lines of a width; its dollar signs are letters, and no formula."""
    return "\n".join(wrap(name, width)).replace("$", r"\$")


def _tidy(axes: matplotlib.axes.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", colors=INK, labelsize=8)
