"""Pictures of a benchmark: time against size, all simulators in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hybridopt._plots import COLOR_BLIND, GRAY, SOFT, VIOLET, Axes, Figure, legend, subplots
from hybridopt.bench.row import Row
from hybridopt.bench.training_suite import BridgeTimes

OURS = VIOLET
BLUE, SKY, RED, ORANGE, GREEN, PURPLE = COLOR_BLIND
STYLES = {  # markers repeat what colours say
    "PennyLane default.qubit": (BLUE, "s"),
    "PennyLane lightning.qubit": (SKY, "^"),
    "EstimatorQNN on StatevectorEstimator": (RED, "D"),
    "EstimatorQNN on Aer EstimatorV2": (ORANGE, "v"),
    "SamplerQNN on Aer SamplerV2": (RED, "X"),
    "TensorCircuit-NG on jax": (GREEN, "P"),
    "pyqtorch": (PURPLE, "h"),
}
PANELS = (
    ("parameter-shift", "parameter shift: what hardware can run"),
    ("adjoint", "exact: what only a simulator can"),
)
LABEL_GAP = 0.055  # of the height of the axes, between two labels


def series(rows: Iterable[Row], axis: str) -> list[Row]:
    """Return the exact rows of the longest sweep along ``"qubits"`` or ``"weights"``, or none.

    Along qubits the layers stay the same (weights grow with them), along weights the qubits; family
    and batch always do.
    """
    sweeps: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.median is None or row.shots is not None:
            continue
        fixed = row.weights / row.qubits if axis == "qubits" else row.qubits
        sweeps.setdefault((row.family, row.batch, fixed), []).append(row)
    longest = max(sweeps.values(), key=lambda sweep: len(_sizes(sweep, axis)), default=[])
    return longest if len(_sizes(longest, axis)) > 1 else []


def time_figure(rows: Sequence[Row], axis: str) -> Figure:
    """Return time against size on log axes, one panel per kind of rule, bars from min to max.

    Args:
        rows: Of one sweep, see `series`.
        axis: ``"qubits"`` or ``"weights"``.
    """
    figure, panels = subplots(10.5, 4.6, columns=2, grid="both", sharey=True)
    for axes, (kind, title) in zip(panels, PANELS, strict=True):
        lines: dict[str, list[Row]] = {}
        for row in sorted(rows, key=lambda row: (row.is_ours, getattr(row, axis))):  # ours on top
            if row.kind == kind:
                lines.setdefault(row.label, []).append(row)
        for label, members in lines.items():
            _draw(axes, members, axis, label)
        axes.set_title(title, fontsize=11, loc="left")
        _format(axes, _sizes(rows, axis))
        axes.set_xlabel(axis)
        _label_ends(axes, [members[-1] for members in lines.values()])
    panels[0].set_ylabel("milliseconds for forward and gradient")
    first = rows[0]
    layers = f"{first.weights // first.qubits} layers"
    fixed = layers if axis == "qubits" else f"{first.qubits} qubits"
    title = f"{first.family}, {fixed}, batch {first.batch}: median, bars from min to max"
    figure.suptitle(title, fontsize=10, color=SOFT, x=0.01, ha="left")
    return figure


def bridge_figure(times: Sequence[BridgeTimes]) -> Figure:
    """Return times of the memory bridge against weights, log axes."""
    figure, axes = subplots(6, 3.8, grid="both")
    for part in ("encode", "step", "decode"):
        seconds = [getattr(one, part) for one in times]
        axes.loglog([one.weights for one in times], seconds, marker="o", label=part)
    axes.set(xlabel="weights", ylabel="seconds", title="memory bridge on Aer, diagonal synthesis")
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


def _format(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(ticks[0] * 0.93, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.04)


def _label_ends(axes: Axes, ends: Iterable[Row]) -> None:
    """Names to the right of the lines, pushed apart where they would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    ordered = sorted(ends, key=lambda row: row.median or 0)
    heights = [(math.log10(1e3 * (row.median or 1e-3)) - low) / (high - low) for row in ordered]
    for place, row in zip(_apart(heights), ordered, strict=True):
        axes.annotate(
            _short(row), (1.02, place), xycoords="axes fraction", va="center", fontsize=8.5,
            color=_style(row)[0], fontweight="bold" if row.is_ours else "normal",
            annotation_clip=False,
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Sorted heights moved up until each is a gap above the one before, then down as a whole."""
    places: list[float] = []
    for height in heights:
        floor = places[-1] + LABEL_GAP if places else 0.0
        places.append(max(height, floor))
    excess = max(places[-1] - 1.0, 0.0) if places else 0.0
    return [place - excess for place in places]


def _short(row: Row) -> str:
    name = row.competitor.replace(" on StatevectorEstimator", "").replace(" on Aer EstimatorV2",
                                                                           " on Aer")  # fmt: skip
    name = name.replace("PennyLane ", "PennyLane\u00a0").replace(" on jax", "")
    rule = row.rule.replace("autodiff, compiled", "compiled")
    return name if row.rule == "parameter-shift" else f"{name}, {rule}"
