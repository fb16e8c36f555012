"""Pictures of a benchmark: time against size, all simulators in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

from hybridopt._plots import COLOR_BLIND, GRAY, SOFT, VIOLET, Axes, Figure, legend, subplots
from hybridopt.bench.peers.competitor import EXACT, SHIFT
from hybridopt.bench.row import Row
from hybridopt.bench.tables import grouped
from hybridopt.bench.training_suite import BridgeTimes
from hybridopt.bench.units import seconds_text

OURS = VIOLET
BLUE, SKY, RED, ORANGE, GREEN, PURPLE = COLOR_BLIND
STYLES = {  # markers distinguish the lines without colour
    "PennyLane default.qubit": (BLUE, "s"),
    "PennyLane lightning.qubit": (SKY, "^"),
    "EstimatorQNN on StatevectorEstimator": (RED, "D"),
    "EstimatorQNN on Aer EstimatorV2": (ORANGE, "v"),
    "Aer EstimatorV2": (GREEN, "d"),
    "SamplerQNN on Aer SamplerV2": (RED, "X"),
    "TensorCircuit-NG on jax": (GREEN, "P"),
    "pyqtorch": (PURPLE, "h"),
    "qulacs": (RED, "*"),
    "MindQuantum, 1 thread": (ORANGE, "<"),
    "MindQuantum, 2 threads": (ORANGE, ">"),
}
PANELS = (
    (SHIFT, "parameter shift: possible on hardware"),
    (EXACT, "exact: possible in a simulator only"),
)
SHORT = {
    " on StatevectorEstimator": "", " on Aer EstimatorV2": " on Aer", " on jax": "",
    "PennyLane ": "PennyLane\u00a0", "autodiff, compiled": "compiled",
}  # fmt: skip
LABEL_GAP = 0.055  # distance of two labels, as a fraction of the height of the axes


def series(rows: Iterable[Row], axis: str) -> list[Row]:
    """Return the exact rows of the longest sweep of ``"qubits"`` or ``"weights"``, or none.

    A sweep of qubits has a fixed number of layers, a sweep of weights a fixed number of qubits.
    Family and batch are fixed, too.
    """

    def fixed(row: Row) -> tuple[object, ...]:
        of_axis = row.weights / row.qubits if axis == "qubits" else row.qubits
        return row.family, row.batch, of_axis

    exact = [row for row in rows if row.median is not None and row.shots is row.noise is None]
    sweeps = grouped(exact, fixed)
    longest = max(sweeps.values(), key=lambda sweep: len(_sizes(sweep, axis)), default=[])
    return longest if len(_sizes(longest, axis)) > 1 else []


def time_figure(rows: Sequence[Row], axis: str) -> Figure:
    """Return a plot of time against size for the rows of `series`, a panel per kind of rule."""
    figure, panels = subplots(10.5, 4.6, columns=2, grid="both", sharey=True)
    ticks = _sizes(rows, axis)
    for axes, (kind, title) in zip(panels, PANELS, strict=True):
        members = [row for row in rows if row.kind == kind]
        members.sort(key=lambda row: (row.is_ours, getattr(row, axis)))  # hybridopt on top
        lines = grouped(members, lambda row: row.label)
        for label, members in lines.items():
            _draw(axes, members, axis, label)
        axes.set_title(title, fontsize=11, loc="left")
        axes.set(xscale="log", yscale="log", xlabel=axis)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(lambda value, _: seconds_text(value / 1e3))
        axes.set_xlim(ticks[0] * 0.93, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.04)
        _label_ends(axes, [members[-1] for members in lines.values()])
    panels[0].set_ylabel("time for forward and gradient")
    one = rows[0]
    fixed = f"{one.qubits} qubits" if axis == "weights" else f"{one.weights // one.qubits} layers"
    title = f"{one.family}, {fixed}, batch {one.batch}: median, bars from min to max"
    figure.suptitle(title, fontsize=10, color=SOFT, x=0.01, ha="left")
    return figure


def bridge_figure(times: Sequence[BridgeTimes]) -> Figure:
    """Return a log-log plot of the times of the memory bridge against its weights."""
    figure, axes = subplots(6, 3.8, grid="both")
    for part in ("encode", "step", "decode"):
        seconds = [getattr(one, part) for one in times]
        axes.loglog([one.weights for one in times], seconds, marker="o", label=part)
    axes.set(xlabel="weights", ylabel="seconds", title="memory bridge on Aer, multiplexer")
    legend(axes)
    return figure


def _sizes(rows: Iterable[Row], axis: str) -> list[int]:
    return sorted({getattr(row, axis) for row in rows})


def _style(row: Row) -> tuple[str, str]:
    return (OURS, "o") if row.is_ours else STYLES.get(row.competitor, (GRAY, "o"))


def _draw(axes: Axes, rows: Sequence[Row], axis: str, label: str) -> None:
    ours, (color, marker) = rows[0].is_ours, _style(rows[0])
    middles = [1e3 * (row.median or math.nan) for row in rows]
    lows = [m - 1e3 * min(row.seconds) for m, row in zip(middles, rows, strict=True)]
    highs = [1e3 * max(row.seconds) - m for m, row in zip(middles, rows, strict=True)]
    axes.errorbar(
        [getattr(row, axis) for row in rows], middles, yerr=[lows, highs], label=label,
        color=color, marker=marker, markersize=7 if ours else 5, linewidth=2.6 if ours else 1.4,
        linestyle="--" if "adjoint" in label and not ours else "-", elinewidth=1, capsize=2,
        zorder=4 if ours else 3,
    )  # fmt: skip


def _label_ends(axes: Axes, ends: Iterable[Row]) -> None:
    """Write names to the right of the lines, moved apart if they would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    ordered = sorted(ends, key=lambda row: row.median or 0)
    heights = [(math.log10(1e3 * (row.median or 1e-3)) - low) / (high - low) for row in ordered]
    _, *places = accumulate(heights, lambda a, b: max(a + LABEL_GAP, b), initial=-LABEL_GAP)
    excess = max([0.0, *(place - 1 for place in places)])
    for place, row in zip(places, ordered, strict=True):
        name = row.competitor if row.rule == SHIFT else row.label
        for long, short in SHORT.items():
            name = name.replace(long, short)
        axes.annotate(
            name, (1.02, place - excess), xycoords="axes fraction", va="center", fontsize=8.5,
            color=_style(row)[0], fontweight="bold" if row.is_ours else "normal",
            annotation_clip=False,
        )  # fmt: skip
