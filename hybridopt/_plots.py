"""Style of all pictures: colours, axes, legends and files; matplotlib is imported on first use."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib import axes, figure

    Axes = axes.Axes
    Figure = figure.Figure
else:
    Axes = Figure = Any  # annotations do not import matplotlib

INK, SOFT, GRID, LINES = "#1f2933", "#52606d", "#e4e7eb", "#cbd2d9"  # text, notes, grid, guides
VIOLET, BLUE, TEAL, GRAY = "#6d28d9", "#2563eb", "#0f766e", "#7b8794"
AMBER, PINK = "#b45309", "#be185d"
PALE_VIOLET, PALE_BLUE, PALE_GRAY = "#ede9fe", "#eff6ff", "#f5f7fa"  # fill colours
COLORS = (
    AMBER, VIOLET, BLUE, PINK, TEAL, "#4d7c0f", GRAY, "#0891b2", "#a16207", "#9333ea",
)  # fmt: skip
# colours of Okabe and Ito, distinguishable by colour-blind readers
COLOR_BLIND = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7")
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {[BLUE, AMBER, TEAL, *COLORS]})",
    "grid.color": GRID,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor"), INK),
    **dict.fromkeys(("text.color", "xtick.color", "ytick.color"), INK),
}
_STYLING = threading.RLock()
MARGIN = 0.05  # around a panel, in inches
DATE = {"svg": "Date", "pdf": "CreationDate"}  # keys in the metadata of a file


def subplots(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    grid: str = "",
    window: bool = False,
    **options: Any,
) -> tuple[Figure, Any]:
    """Return a figure and its axes, one object or an array, in the common style.

    Sizes are in inches. ``grid`` is the axis with grid lines: "x", "y", "both" or "" (none). With
    ``window``, the figure is the current one of pyplot, which shows, saves and closes it.
    """
    from matplotlib.figure import Figure  # slow to import

    make: Any = import_module("matplotlib.pyplot").figure if window else Figure
    lines: dict[Any, Any] = {"axes.grid": True, "axes.grid.axis": grid} if grid else {}
    with _rc_context({**STYLE, **lines}):
        figure = make(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


@contextmanager
def _rc_context(settings: dict[Any, Any]) -> Iterator[None]:
    """Change settings of matplotlib for a block; they belong to all threads, so one at a time."""
    import matplotlib as mpl  # slow to import

    with _STYLING, mpl.rc_context(settings):
        yield


def legend(owner: Axes | Figure, *entries: Any, **options: Any) -> None:
    """Add a legend without a frame to axes or to a figure."""
    owner.legend(*entries, **{"frameon": False, "fontsize": 8.5, **options})


def label_ends(axes: Axes, *, size: float = 8.5, lines: int = 1) -> None:
    """Write the labels of the lines at their last points, in their colours and without overlaps.

    Call it after all drawing, because the labels keep their places relative to the axes. ``size``
    is that of the letters in points, ``lines`` the largest number of lines in a label.
    """
    axes.autoscale_view()
    to_fraction = axes.transScale + axes.transLimits
    ends = []
    for line in axes.get_lines():
        points = np.asarray(line.get_xydata(), dtype=np.float64)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) and not str(line.get_label()).startswith("_"):
            ends.append((*to_fraction.transform(points[-1]), line))
    step = 1.3 * lines * size / 72 * axes.figure.dpi / axes.bbox.height
    places = _spread([y for _, y, _ in ends], step)
    for (x, _, line), place in zip(ends, places, strict=True):
        axes.text(
            x + 0.02, place, line.get_label(), transform=axes.transAxes, va="center",
            fontsize=size, color=line.get_color(),
        )  # fmt: skip


def _spread(places: list[float], step: float) -> list[float]:
    """Return places, in the same order, moved apart to distances of at least ``step``."""
    groups: list[list[int]] = []  # neighbours that touch, around their mean
    order = sorted(range(len(places)), key=places.__getitem__)

    def first(group: list[int]) -> float:
        return sum(places[n] for n in group) / len(group) - step * (len(group) - 1) / 2

    for number in order:
        groups.append([number])
        while len(groups) > 1 and first(groups[-1]) - first(groups[-2]) < step * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    found = {n: first(group) + step * k for group in groups for k, n in enumerate(group)}
    return [found[number] for number in range(len(places))]


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file without margins."""
    return rendered(figure, "png", dpi=160, bbox_inches="tight")


def svg(figure: Figure, **options: Any) -> bytes:
    """Return the figure as an SVG file without background, for pages that may be dark."""
    settings = {"transparent": True, "facecolor": "none", "bbox_inches": "tight"}
    return rendered(figure, "svg", **{**settings, **options})


def panels(figure: Figure) -> list[bytes]:
    """Return each axes of a figure as an SVG file of its own; narrow pages show them in a column.

    Axes without a label get that of their row, and its ticks if the axis is shared. Legends of
    the figure are removed. The figure is finished afterwards: its layout is fixed.
    """
    for one in list(figure.legends):
        one.remove()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pictures, every = [], figure.axes
    for shown in every:
        for axes in every:
            axes.set_visible(axes is shown)
        shown.tick_params(labelleft=True)
        row = [axes for axes in every if _row(axes) == _row(shown)]
        shown.set_ylabel(shown.get_ylabel() or row[0].get_ylabel())
        box = shown.get_tightbbox()
        assert box is not None
        inches = box.transformed(figure.dpi_scale_trans.inverted())
        pictures.append(svg(figure, bbox_inches=inches.padded(MARGIN)))
    return pictures


def _row(axes: Axes) -> int:
    place = axes.get_subplotspec()
    assert place is not None
    return place.rowspan.start


def rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    """Return the figure as a png, svg or pdf file; equal figures give equal bytes."""
    raw = io.BytesIO()
    with _rc_context({"svg.hashsalt": "hybridopt"}):
        metadata = {DATE[kind]: None} if kind in DATE else {}
        settings = {"dpi": 150, "facecolor": "white", "metadata": metadata, **options}
        figure.savefig(raw, format=kind, **settings)
    return raw.getvalue()
