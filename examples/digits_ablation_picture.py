"""Picture of digits_ablation.py: accuracy against the number of trainable parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hybridopt._plots import label_ends, subplots

TICKS = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)
STYLES: dict[str, dict[str, Any]] = {
    "solid": {"marker": "o", "markersize": 5, "linestyle": "-"},
    "dashed": {"marker": "o", "markersize": 5, "linestyle": "--"},
    "level": {"marker": "o", "markersize": 5, "linestyle": "none"},  # with a horizontal line
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


def draw(panels: Mapping[str, Sequence[Line]], title: str, images: int) -> Figure:
    """Plot each group of lines in a panel, on an axis that is logarithmic in 1 - accuracy.

    ``images`` is the number of test images; the axis title gives the weight of one.
    """
    figure, every = subplots(11.5, 4.8, columns=len(panels), grid="y", sharey=True)
    for axes, (name, lines) in zip(every, panels.items(), strict=True):
        for line in lines:
            style = {"color": line.color, "linewidth": 1.5, **STYLES[line.style]}
            axes.plot(line.numbers, line.means, label=line.label, **style)
            axes.errorbar(
                line.numbers, line.means, yerr=line.deviations, color=line.color,
                linestyle="none", elinewidth=0.8, capsize=2, alpha=0.5, label="_deviation",
            )  # fmt: skip
            if line.style == "level":
                axes.axhline(line.means[-1], color=line.color, linewidth=0.8, linestyle=":")
        axes.set_yscale("function", functions=(_to_errors, _to_accuracy))
        axes.set_xticks(lines[0].numbers)  # controls have almost equal numbers
        axes.set_xlabel("trainable parameters")
        axes.set_title(name, loc="left", fontsize=10)
    _limit(every[0], [line for lines in panels.values() for line in lines])
    every[0].set_ylabel(f"test accuracy (one image is {1 / images:.3f})")
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    for axes in every:
        label_ends(axes)
    return figure


def _to_errors(accuracy: Any) -> Any:
    return -np.log1p(-np.minimum(accuracy, 0.999))


def _to_accuracy(errors: Any) -> Any:
    return -np.expm1(-errors)


def _limit(axes: Axes, lines: Sequence[Line]) -> None:
    """Set limits that include every line and its deviation."""
    spread = [(m - d, m + d) for x in lines for m, d in zip(x.means, x.deviations, strict=True)]
    low, high = min(low for low, _ in spread), max(high for _, high in spread)
    ticks = [tick for tick in TICKS if tick > low - 0.1]
    axes.set_yticks(ticks, [f"{tick:.2f}" for tick in ticks])
    axes.set_ylim(max(0.0, low - 0.01), min(0.99, high + 0.003))
