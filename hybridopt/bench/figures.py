"""Pictures of a benchmark: time against size, all simulators in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hybridopt.bench.memory_bridge import BridgeTimes
from hybridopt.bench.row import Row

INK, SOFT, GRID = "#1f2933", "#52606d", "#e4e7eb"
OURS = "#6d28d9"
# Okabe and Ito's colours, told apart by colour-blind readers; markers repeat what they say
STYLES = {
    "PennyLane default.qubit": ("#0072b2", "s"),
    "PennyLane lightning.qubit": ("#56b4e9", "^"),
    "EstimatorQNN on StatevectorEstimator": ("#d55e00", "D"),
    "EstimatorQNN on Aer EstimatorV2": ("#e69f00", "v"),
    "SamplerQNN on Aer SamplerV2": ("#d55e00", "X"),
    "TensorCircuit-NG on jax": ("#009e73", "P"),
    "pyqtorch": ("#cc79a7", "h"),
}
OTHER = ("#7b8794", "o")
PANELS = (
    ("parameter-shift", "parameter shift: what hardware can run"),
    ("adjoint", "exact: what only a simulator can"),
)
LABEL_GAP = 0.055  # of the height of the axes, between two labels
Series = dict[str, list[Row]]


def series(rows: Iterable[Row], axis: str) -> list[Row]:
    """The exact rows of the longest sweep along ``"qubits"`` or ``"weights"``, or none.

    Along qubits the layers stay the same (weights grow with them), along weights the qubits; family
    and batch always do.
    """
    sweeps: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.median is None or row.shots is not None:
            continue
        fixed = row.weights / row.qubits if axis == "qubits" else row.qubits
        sweeps.setdefault((row.family, row.batch, fixed), []).append(row)
    longest = max(sweeps.values(), key=lambda sweep: _sizes(sweep, axis), default=[])
    return longest if _sizes(longest, axis) > 1 else []


def time_figure(rows: Sequence[Row], axis: str) -> Figure:
    """Time against size on log axes, one panel a kind of rule, error bars from min to max.

    Args:
        rows: Of one sweep, see `series`.
        axis: ``"qubits"`` or ``"weights"``.
    """
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (kind, title) in zip(panels, PANELS, strict=True):
        lines = _lines([row for row in rows if row.kind == kind])
        for label, members in lines.items():
            _draw(axes, members, axis, ours=members[0].is_ours, label=label)
        axes.set_title(title, fontsize=11, color=INK, loc="left")
        _format(axes, rows, axis)
        _label_ends(axes, lines, axis)
    panels[0].set_ylabel("milliseconds for forward and gradient", color=INK)
    first = rows[0]
    fixed = f"{first.weights // first.qubits} layers" if axis == "qubits" else (
        f"{first.qubits} qubits"
    )  # fmt: skip
    figure.suptitle(
        f"{first.family}, {fixed}, batch {first.batch}: median, bars from min to max",
        fontsize=10, color=SOFT, x=0.01, ha="left",
    )  # fmt: skip
    return figure


def bridge_figure(times: Sequence[BridgeTimes]) -> Figure:
    """Times of the memory bridge against weights, log axes."""
    picture = Figure(figsize=(6, 3.8), layout="constrained")
    axes = picture.subplots()
    weights = [one.weights for one in times]
    for part in ("encode", "step", "decode"):
        seconds = [getattr(one, part) for one in times]
        axes.loglog(weights, seconds, marker="o", label=part)
    axes.set(xlabel="weights", ylabel="seconds", title="memory bridge on Aer, diagonal synthesis")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID)
    axes.legend(frameon=False)
    return picture


def _sizes(rows: Iterable[Row], axis: str) -> int:
    return len({getattr(row, axis) for row in rows})


def _lines(rows: Iterable[Row]) -> Series:
    lines: Series = {}
    for row in rows:
        lines.setdefault(row.label, []).append(row)
    return dict(sorted(lines.items(), key=lambda item: item[1][0].is_ours))  # ours on top


def _draw(axes: Axes, rows: Sequence[Row], axis: str, *, ours: bool, label: str) -> None:
    color, marker = (OURS, "o") if ours else STYLES.get(rows[0].competitor, OTHER)
    ordered = sorted(rows, key=lambda row: int(getattr(row, axis)))
    middles = [1e3 * (row.median or math.nan) for row in ordered]
    lows = [m - 1e3 * min(row.seconds) for m, row in zip(middles, ordered, strict=True)]
    highs = [1e3 * max(row.seconds) - m for m, row in zip(middles, ordered, strict=True)]
    axes.errorbar(
        [getattr(row, axis) for row in ordered], middles, yerr=[lows, highs], label=label,
        color=color, marker=marker, markersize=7 if ours else 5, linewidth=2.6 if ours else 1.4,
        linestyle="--" if "adjoint" in label and not ours else "-", elinewidth=1, capsize=2,
        zorder=4 if ours else 3,
    )  # fmt: skip


def _format(axes: Axes, rows: Sequence[Row], axis: str) -> None:
    ticks = sorted({getattr(row, axis) for row in rows})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(axis, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, which="major")
    axes.set_xlim(ticks[0] * 0.93, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.04)


def _label_ends(axes: Axes, lines: Series, axis: str) -> None:
    """Names to the right of the lines, pushed apart where they would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    ends = []
    for members in lines.values():
        last = max(members, key=lambda row: int(getattr(row, axis)))
        height = (math.log10(1e3 * (last.median or 1e-3)) - low) / (high - low)
        ends.append((height, last))
    ends.sort(key=lambda end: end[0])
    places = _apart([height for height, _ in ends])
    for place, (_, row) in zip(places, ends, strict=True):
        color = OURS if row.is_ours else STYLES.get(row.competitor, OTHER)[0]
        name = _short(row)
        axes.annotate(
            name, (1.02, place), xycoords="axes fraction", va="center", fontsize=8.5, color=color,
            fontweight="bold" if row.is_ours else "normal", annotation_clip=False,
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
