"""Style of all pictures: colours, axes, legends and files; matplotlib is imported on first use."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
DATE = {"svg": "Date", "pdf": "CreationDate"}  # keys in the metadata of a file


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1, *, grid: str = "", **options: Any
) -> tuple[Figure, Any]:
    """Return a figure without a window and its axes, one object or an array, in the common style.

    Sizes are in inches. ``grid`` is the axis with grid lines: "x", "y", "both" or "" (none).
    """
    from matplotlib.figure import Figure  # slow to import

    lines: dict[Any, Any] = {"axes.grid": True, "axes.grid.axis": grid} if grid else {}
    with _rc_context({**STYLE, **lines}):
        figure = Figure(figsize=(width, height), layout="constrained")
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


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file without margins."""
    return rendered(figure, "png", dpi=160, bbox_inches="tight")


def rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    """Return the figure as a png, svg or pdf file; equal figures give equal bytes."""
    raw = io.BytesIO()
    with _rc_context({"svg.hashsalt": "hybridopt"}):
        metadata = {DATE[kind]: None} if kind in DATE else {}
        settings = {"dpi": 150, "facecolor": "white", "metadata": metadata, **options}
        figure.savefig(raw, format=kind, **settings)
    return raw.getvalue()
