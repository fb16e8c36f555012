"""A picture of a network: its layers from left to right, and its circuit below."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import pairwise

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from qiskit import QuantumCircuit

from hybridopt.cli.circuit_preview import Excerpt, excerpt
from hybridopt.cli.network_diagram import NetworkPath, Step

INK, DIM = "#1f2933", "#52606d"
COLORS = {  # edge and face
    "circuit": ("#6d28d9", "#ede9fe"),
    "made": ("#6d28d9", "#ffffff"),
    "formula": ("#2563eb", "#ffffff"),
    "classical": ("#9aa5b1", "#f5f7fa"),
}
WORDS = {
    "circuit": "runs as a circuit",
    "made": "weights read from the circuit",
    "formula": "weights by a formula, no circuit",
    "classical": "classical",
}
DASHED = {"made", "formula"}  # whose weights come from the bar above
WIDTH = 11.0  # [inch]
PER_LINE = 6  # boxes
BOX, GAP, TALL, LINE = 1.36, 0.37, 1.02, 1.62  # [inch]
COLUMNS, LINES = 88, 40  # of a circuit that is shown whole
BEGINNING = 17  # columns of one that is longer: a line
FOLD = 22  # columns in a line
UNIT = 0.36  # [inch] of one line or column of a circuit, before it is fitted to the width


def draw_picture(path: NetworkPath) -> Figure:
    """The picture; it belongs to no window."""
    above = _height_above(path)
    shown = None if path.circuit is None else _shown(path.circuit)
    if shown is None:
        width, below = 0.0, 0.0
    else:
        width, below = _circuit_size(shown.circuit)
    caption = 0.45 if shown is not None else 0.1
    height = above + caption + below + 0.15
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    top = figure.add_axes((0, 1 - above / height, 1, above / height))
    _draw_path(top, path, above)
    if shown is not None:
        text = path.caption + (f"; shown: {shown.note}" if shown.note else "")
        line = (below + 0.15 + caption / 2) / height
        figure.text(0.35 / WIDTH, line, text, fontsize=10, color=INK, va="center", weight="bold")
        left = max(0.1, (WIDTH - width) / 2) / WIDTH if width > WIDTH / 2 else 0.25 / WIDTH
        box = (left, 0.1 / height, width / WIDTH, below / height)
        _draw_circuit(shown.circuit, figure.add_axes(box))
    return figure


def _shown(circuit: QuantumCircuit) -> Excerpt:
    whole = excerpt(circuit, columns=COLUMNS, qubits=LINES)
    return whole if not whole.note else excerpt(circuit, columns=BEGINNING, qubits=LINES)


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure as a file of this kind: png, svg or pdf."""
    raw = io.BytesIO()
    dates = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context({"svg.hashsalt": "hybridopt"}):  # one picture is one file
        figure.savefig(raw, format=kind, dpi=150, facecolor="white", metadata=dates[kind])
    return raw.getvalue()


def _height_above(path: NetworkPath) -> float:
    lines = math.ceil((len(path.steps) + 1) / PER_LINE)
    return 0.75 + LINE * lines + (0.75 if path.source else 0.0)


def _draw_path(axes: Axes, path: NetworkPath, height: float) -> None:
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, height)
    axes.axis("off")
    axes.text(0.35, height - 0.32, path.title, fontsize=14, color=INK, weight="bold", va="center")
    _draw_legend(axes, path.steps, height - 0.32)
    first = height - 0.6 - (0.75 if path.source else 0.0) - LINE / 2
    places = [_place(number, first) for number in range(len(path.steps) + 1)]
    _draw_input(axes, places[0], path.input_shape)
    for number, (before, here) in enumerate(pairwise(places)):
        _arrow_between(axes, before, here, 0.5 if number == 0 else BOX / 2)
    for step, place in zip(path.steps, places[1:], strict=True):
        _draw_box(axes, step, place)
    if path.source:
        made = [p for s, p in zip(path.steps, places[1:], strict=True) if s.where in DASHED]
        _draw_source(axes, path, made, height - 0.95)


def _place(number: int, first: float) -> tuple[float, float]:
    """The middle of a box."""
    line, column = divmod(number, PER_LINE)
    return 0.35 + BOX / 2 + column * (BOX + GAP), first - line * LINE


def _draw_input(axes: Axes, place: tuple[float, float], shape: tuple[int, ...] | None) -> None:
    text = "input" if shape is None else f"input\n{_in_words(shape)}"
    axes.text(*place, text, ha="center", va="center", fontsize=10, color=INK)


def _draw_box(axes: Axes, step: Step, place: tuple[float, float]) -> None:
    edge, face = COLORS[step.where]
    x, y = place[0] - BOX / 2, place[1] - TALL / 2
    style = "--" if step.where in DASHED else "-"
    patch = FancyBboxPatch(
        (x + 0.05, y + 0.05), BOX - 0.1, TALL - 0.1, boxstyle="round,pad=0.05",
        facecolor=face, edgecolor=edge, linewidth=1.6, linestyle=style,
    )  # fmt: skip
    axes.add_patch(patch)
    name = step.name if len(step.name) <= 16 else f"...{step.name[-13:]}"
    lines = [f"layer {name}" if name else "", *step.facts]
    axes.text(
        place[0], place[1] + 0.27, _short(step.kind), ha="center", va="center", fontsize=10,
        color=INK, weight="bold",
    )  # fmt: skip
    axes.text(
        place[0], place[1] - 0.14, "\n".join(filter(None, lines)), ha="center", va="center",
        fontsize=7.5, color=DIM, linespacing=1.25,
    )  # fmt: skip
    if step.shape is not None:
        axes.text(
            place[0], y - 0.06, _in_words(step.shape), ha="center", va="top", fontsize=8, color=INK
        )


def _arrow_between(
    axes: Axes, before: tuple[float, float], here: tuple[float, float], half: float
) -> None:
    """From the end of one box, ``half`` of its width from its middle, to the next."""
    arrow = {"arrowstyle": "-|>", "color": DIM, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    if before[1] == here[1]:
        start, end = (before[0] + half, before[1]), (here[0] - BOX / 2, here[1])
        axes.annotate("", end, start, arrowprops=arrow)
        return
    middle = (before[1] + here[1]) / 2 - 0.16  # round the end of the line, below the shapes
    xs = [before[0] + BOX / 2, before[0] + BOX / 2 + 0.12, before[0] + BOX / 2 + 0.12]
    axes.plot([*xs, here[0] - BOX / 2 - 0.12], [before[1], before[1], middle, middle],
              color=DIM, linewidth=1.2)  # fmt: skip
    axes.plot([here[0] - BOX / 2 - 0.12] * 2, [middle, here[1]], color=DIM, linewidth=1.2)
    start, end = (here[0] - BOX / 2 - 0.12, here[1]), (here[0] - BOX / 2 + 0.02, here[1])
    axes.annotate("", end, start, arrowprops=arrow)


def _draw_source(
    axes: Axes, path: NetworkPath, made: Sequence[tuple[float, float]], y: float
) -> None:
    """The bar of what makes weights, with arrows to the layers of the first line."""
    where = "circuit" if any(step.where == "made" for step in path.steps) else "formula"
    edge = COLORS[where][0]
    face = COLORS["circuit"][1] if where == "circuit" else "#eff6ff"
    left, right = 0.35, WIDTH - 0.35
    patch = FancyBboxPatch(
        (left + 0.05, y - 0.16), right - left - 0.1, 0.32, boxstyle="round,pad=0.05",
        facecolor=face, edgecolor=edge, linewidth=1.6,
    )  # fmt: skip
    axes.add_patch(patch)
    axes.text((left + right) / 2, y, path.source or "", ha="center", va="center", fontsize=10,
              color=INK)  # fmt: skip
    top = max((place[1] for place in made), default=0.0)
    arrow = {"arrowstyle": "-|>", "color": edge, "linewidth": 1.2, "linestyle": "--",
             "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    for place in made:
        if place[1] == top:
            end, start = (place[0], place[1] + TALL / 2), (place[0], y - 0.22)
            axes.annotate("", end, start, arrowprops=arrow)


def _draw_legend(axes: Axes, steps: Sequence[Step], y: float) -> None:
    used = [where for where in COLORS if any(step.where == where for step in steps)]
    x = WIDTH - 0.35
    for where in reversed(used):
        x -= 0.072 * len(WORDS[where])
        axes.text(x, y, WORDS[where], fontsize=8.5, color=DIM, va="center")
        edge, face = COLORS[where]
        style = "--" if where in DASHED else "-"
        box = FancyBboxPatch(
            (x - 0.24, y - 0.05), 0.12, 0.1, boxstyle="round,pad=0.02", facecolor=face,
            edgecolor=edge, linestyle=style,
        )  # fmt: skip
        axes.add_patch(box)
        x -= 0.42


def _circuit_size(circuit: QuantumCircuit) -> tuple[float, float]:
    """Width and height of its drawing [inch], fitted to the width of the picture."""
    probe = Figure()
    FigureCanvasAgg(probe)
    axes = probe.add_axes((0, 0, 1, 1))
    _draw_circuit(circuit, axes)
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    wide, tall = abs(x1 - x0), abs(y1 - y0)
    unit = min(UNIT, (WIDTH - 0.5) / wide)
    return unit * wide, unit * tall


def _draw_circuit(circuit: QuantumCircuit, axes: Axes) -> None:
    circuit.draw("mpl", ax=axes, fold=FOLD, style="iqp", plot_barriers=False)


def _in_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "a number"


def _short(kind: str) -> str:
    return kind if len(kind) <= 17 else f"{kind[:15]}..."
