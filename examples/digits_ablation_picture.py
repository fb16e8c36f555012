"""Picture of digits_ablation.py: accuracy against the number of trainable parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TICKS = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)
LABEL_GAP = 0.05  # distance of labels, as a fraction of the height of the picture
LEADER = {"arrowstyle": "-", "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 5}
STYLES: dict[str, dict[str, Any]] = {
    "solid": {"marker": "o", "markersize": 5, "linestyle": "-"},
    "dashed": {"marker": "o", "markersize": 5, "linestyle": "--"},
    "level": {"marker": "o", "markersize": 5, "linestyle": "none"},  # with a horizontal line
    "rings": {"marker": "o", "markersize": 10, "linestyle": "none", "fillstyle": "none"},
    "crosses": {"marker": "x", "markersize": 6, "linestyle": ":", "capsize": 0},
}


@dataclass(frozen=True)
class Line:
    """Mean and deviation of the accuracy at several numbers of trainable parameters."""

    label: str
    color: str
    numbers: tuple[int, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    style: str


def draw(lines: Sequence[Line], title: str) -> Figure:
    """Plot all lines on an axis that is logarithmic in 1 - accuracy."""
    figure = Figure(figsize=(9, 5.4))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.075, right=0.71, bottom=0.1, top=0.93)
    for line in lines:
        axes.errorbar(
            line.numbers, line.means, yerr=line.deviations, color=line.color, linewidth=1.5,
            elinewidth=1, **{"capsize": 3, **STYLES[line.style]},
        )  # fmt: skip
        if line.style == "level":
            axes.axhline(line.means[-1], color=line.color, linewidth=0.8, linestyle=":")
    axes.set_yscale(
        "function", functions=(lambda a: -np.log1p(-np.minimum(a, 0.999)), lambda e: -np.expm1(-e))
    )
    _limit(axes, lines)
    axes.set_xticks(sorted({*lines[0].numbers, *_single(lines)}))
    axes.set_xlabel("trainable parameters")
    axes.set_ylabel("test accuracy")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(axis="y", color="#e4e7eb")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _label(axes, lines)
    return figure


def _limit(axes: Axes, lines: Sequence[Line]) -> None:
    """Set limits that include every line and its deviation."""
    spread = [(m - d, m + d) for x in lines for m, d in zip(x.means, x.deviations, strict=True)]
    low, high = min(low for low, _ in spread), max(high for _, high in spread)
    ticks = [tick for tick in TICKS if tick > low - 0.1]
    axes.set_yticks(ticks, [f"{tick:.2f}" for tick in ticks])
    axes.set_ylim(max(0.0, low - 0.03), min(0.99, high + 0.003))


def _single(lines: Sequence[Line]) -> set[int]:
    """Return the sizes of lines that have one point."""
    return {line.numbers[0] for line in lines if len(line.numbers) == 1}


def _label(axes: Axes, lines: Sequence[Line]) -> None:
    """Write names at the right, in the order of the last points, and connect them."""
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        ((float(to_axes.transform((x.numbers[-1], x.means[-1]))[1]), x) for x in lines),
        key=lambda pair: pair[0],
    )
    gap = LABEL_GAP * np.arange(len(placed))
    heights = np.maximum.accumulate([height for height, _ in placed] - gap) + gap
    heights = np.minimum(
        heights, 0.99 - gap[::-1]
    )  # inside of the picture, with a distance of at least one gap
    for height, (_, line) in zip(heights, placed, strict=True):
        axes.annotate(
            line.label, (line.numbers[-1], line.means[-1]), (1.05, height), va="center",
            textcoords="axes fraction", color=line.color, fontsize=9,
            arrowprops={**LEADER, "color": line.color},
        )  # fmt: skip
