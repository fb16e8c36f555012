"""Command `hybridopt draw`: the layers of a network from left to right, and its circuit below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from qiskit import QuantumCircuit
from torch import nn

from hybridopt import _plots, _validation
from hybridopt._files import check_writable, write_bytes
from hybridopt.bridges import to_quantum
from hybridopt.circuits import load_circuit
from hybridopt.cli import options
from hybridopt.cli.network_diagram import NetworkPath, Step, network_path
from hybridopt.cli.networks import parsed_options
from hybridopt.cli.options import opt
from hybridopt.cli.output import print_files
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer
from hybridopt.nn.network_spec import build_network
from hybridopt.storage import load
from hybridopt.storage.archive import is_archive

KINDS = ("png", "svg", "pdf")
LOOKS = {  # edge, face, text in the legend
    "circuit": (_plots.VIOLET, _plots.PALE_VIOLET, "runs as a circuit"),
    "made": (_plots.VIOLET, "white", "weights read from the circuit"),
    "formula": (_plots.BLUE, "white", "weights by a formula, no circuit"),
    "classical": (_plots.GRAY, _plots.PALE_GRAY, "classical"),
}
DASHED = {"made", "formula"}  # layers whose weights come from the bar above
WIDTH, EDGE = 11.0, 0.35  # [inch]
PER_LINE = 6  # boxes per line
BOX, GAP, TALL, LINE, BAR = 1.36, 0.37, 1.02, 1.62, 0.75  # [inch]
COLUMNS, LINES = 88, 40  # largest size of a circuit that is drawn completely
BEGINNING = 17  # columns that are drawn of a longer circuit
FOLD = 22  # columns per line
UNIT = 0.36  # [inch] height of a line of a circuit, before it is scaled to the width
Point = tuple[float, float]


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="File of `hybridopt convert`; network `mlp:4-3` or `file.py:function`, which "
            "--bridge converts; circuit of the gallery; or OpenQASM or QPY file."
        ),
    ],
    output: Annotated[Path, opt("Picture to write: .png, .svg or .pdf.")],
    network: Annotated[str | None, opt("Network of a file with a class of yours.")] = None,
    bridge: options.BridgeName = "memory",
    option: options.BridgeOptions = None,
    seed: Annotated[int, opt("Seed for the weights of a new network.")] = 0,
) -> None:
    """Draw the layers of a network, and its circuit."""
    kind = _validation.choice("kind of picture", output.suffix.removeprefix("."), KINDS)
    check_writable(output)
    module: nn.Module
    if is_archive(what):
        module = load(what, build_network(network, None, seed=seed) if network else None)
    elif network is not None:
        raise ArgumentError(
            f"`network` must be omitted without a file of `hybridopt convert` (got {what!r}). "
            "Write the network in place of the file: `hybridopt draw mlp:4-3`."
        )
    elif ":" in what:
        own = build_network(what, None, seed=seed)
        module = to_quantum(own, bridge, **parsed_options(option or ()))
    else:
        module = CircuitLayer(*load_circuit(what))
    write_bytes(output, _plots.rendered(draw_picture(network_path(module)), kind))
    print_files([output])


def draw_picture(path: NetworkPath) -> Figure:
    """Return the picture as a figure without a window."""
    lines = math.ceil((len(path.steps) + 1) / PER_LINE)
    above = 0.75 + LINE * lines + (BAR if path.source else 0.0)
    shown, below, caption = path.circuit, 0.0, 0.1
    if shown is not None:
        shown, note = excerpt(shown, columns=COLUMNS, qubits=LINES)
        if note:
            shown, note = excerpt(path.circuit, columns=BEGINNING, qubits=LINES)
        width, below = _circuit_size(shown)
        caption = 0.45
    height = above + caption + below + 0.15
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    top = figure.add_axes((0, 1 - above / height, 1, above / height))
    _draw_path(top, path, above)
    if shown is not None:
        text = path.caption + (f"; shown: {note}" if note else "")
        line = (below + 0.15 + caption / 2) / height
        style: dict[str, Any] = {"fontsize": 10, "color": _plots.INK, "weight": "bold"}
        figure.text(EDGE / WIDTH, line, text, va="center", **style)
        left = max(0.1, (WIDTH - width) / 2) / WIDTH if width > WIDTH / 2 else 0.25 / WIDTH
        box = (left, 0.1 / height, width / WIDTH, below / height)
        _draw_circuit(shown, figure.add_axes(box))
    return figure


def excerpt(circuit: QuantumCircuit, *, columns: int, qubits: int) -> tuple[QuantumCircuit, str]:
    """Return the first columns and lines of a circuit, and a note if anything is omitted."""
    kept = min(qubits, circuit.num_qubits)
    shown = QuantumCircuit(kept, name=circuit.name)
    reached = [0] * circuit.num_qubits
    for item in circuit.data:
        places = [circuit.find_bit(qubit).index for qubit in item.qubits]
        # in a drawing, a gate occupies all lines between its qubits
        span = slice(min(places, default=0), max(places, default=-1) + 1)
        column = 1 + max(reached[span], default=0)
        reached[span] = [column] * len(reached[span])
        if column <= columns and all(place < kept for place in places):
            shown.append(item.operation, places)
    total = len(circuit.data)
    if len(shown.data) == total and kept == circuit.num_qubits:
        return circuit, ""
    lines = "" if kept == circuit.num_qubits else f" on the first {kept} qubits"
    return shown, f"first {len(shown.data):,} of {total:,} gates{lines}"


def _draw_path(axes: Axes, path: NetworkPath, height: float) -> None:
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    _write(axes, (EDGE, height - 0.32), path.title, 14, ha="left", weight="bold")
    _draw_legend(axes, path.steps, height - 0.32)
    first = height - 0.6 - (BAR if path.source else 0.0) - LINE / 2
    spots = [divmod(number, PER_LINE) for number in range(len(path.steps) + 1)]
    places = [(EDGE + BOX / 2 + x * (BOX + GAP), first - line * LINE) for line, x in spots]
    shape = path.input_shape
    _write(axes, places[0], "input" if shape is None else f"input\n{_in_words(shape)}", 10)
    for number, (before, here) in enumerate(pairwise(places)):
        _draw_way(axes, before, here, 0.5 if number == 0 else BOX / 2)
    for step, place in zip(path.steps, places[1:], strict=True):
        _draw_step(axes, step, place)
    if path.source:
        made = [p for s, p in zip(path.steps, places[1:], strict=True) if s.where in DASHED]
        _draw_source(axes, path, made, height - 0.95)


def _draw_step(axes: Axes, step: Step, place: Point) -> None:
    x, y = place
    _box(axes, place, (BOX, TALL), *LOOKS[step.where][:2], dashed=step.where in DASHED)
    name = step.name if len(step.name) <= 16 else f"...{step.name[-13:]}"
    kind = step.kind if len(step.kind) <= 17 else f"{step.kind[:15]}..."
    lines = filter(None, [f"layer {name}" if name else "", *step.facts])
    _write(axes, (x, y + 0.27), kind, 10, weight="bold")
    _write(axes, (x, y - 0.14), "\n".join(lines), 7.5, color=_plots.SOFT, linespacing=1.25)
    if step.shape is not None:
        _write(axes, (x, y - TALL / 2 - 0.06), _in_words(step.shape), 8, va="top")


def _draw_way(axes: Axes, before: Point, here: Point, half: float) -> None:
    """Draw an arrow from the end of a box, ``half`` its width from its centre, to the next."""
    left = here[0] - BOX / 2
    if before[1] == here[1]:
        _arrow(axes, (before[0] + half, before[1]), (left, here[1]))
        return
    right = before[0] + BOX / 2
    middle = (before[1] + here[1]) / 2 - 0.16  # around the end of the line, below the shapes
    xs = [right, right + 0.12, right + 0.12, left - 0.12, left - 0.12]
    axes.plot(xs, [before[1], before[1], middle, middle, here[1]], color=_plots.SOFT, linewidth=1.2)
    _arrow(axes, (left - 0.12, here[1]), (left + 0.02, here[1]))


def _draw_source(axes: Axes, path: NetworkPath, made: Sequence[Point], y: float) -> None:
    """Draw the bar of the circuit that defines weights, and arrows to the first line."""
    circuit = any(step.where == "made" for step in path.steps)
    edge, face = (_plots.VIOLET, _plots.PALE_VIOLET) if circuit else (_plots.BLUE, _plots.PALE_BLUE)
    _box(axes, (WIDTH / 2, y), (WIDTH - 2 * EDGE, 0.42), edge, face)
    _write(axes, (WIDTH / 2, y), path.source or "", 10)
    for x, height in made:
        if height == made[0][1]:
            _arrow(axes, (x, y - 0.22), (x, height + TALL / 2), color=edge, linestyle="--")


def _draw_legend(axes: Axes, steps: Sequence[Step], y: float) -> None:
    x = WIDTH - EDGE
    for where in reversed([w for w in LOOKS if any(step.where == w for step in steps)]):
        edge, face, words = LOOKS[where]
        x -= 0.072 * len(words)
        _write(axes, (x, y), words, 8.5, color=_plots.SOFT, ha="left")
        size = (0.16, 0.14)
        _box(axes, (x - 0.18, y), size, edge, face, dashed=where in DASHED, pad=0.02, linewidth=1)
        x -= 0.42


def _box(
    axes: Axes, middle: Point, size: Point, edge: str, face: str, *,
    dashed: bool = False, pad: float = 0.05, linewidth: float = 1.6,
) -> None:  # fmt: skip
    (x, y), (width, height) = middle, (size[0] - 2 * pad, size[1] - 2 * pad)
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle=f"round,pad={pad}", facecolor=face, edgecolor=edge,
            linewidth=linewidth, linestyle="--" if dashed else "-",
        )
    )  # fmt: skip


def _arrow(axes: Axes, start: Point, end: Point, *, color: str = _plots.SOFT, **style: Any) -> None:
    shape = {"arrowstyle": "-|>", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops={**shape, "color": color, **style})


def _write(axes: Axes, place: Point, text: str, size: float, **style: Any) -> None:
    centred = {"ha": "center", "va": "center", "color": _plots.INK}
    axes.text(*place, text, fontsize=size, **{**centred, **style})


def _circuit_size(circuit: QuantumCircuit) -> tuple[float, float]:
    """Return width and height of the drawing [inch], scaled to the width of the picture."""
    probe = Figure()
    FigureCanvasAgg(probe)
    axes = probe.add_axes((0, 0, 1, 1))
    _draw_circuit(circuit, axes)
    wide, tall = (abs(high - low) for low, high in (axes.get_xlim(), axes.get_ylim()))
    unit = min(UNIT, (WIDTH - 0.5) / wide)
    return unit * wide, unit * tall


def _draw_circuit(circuit: QuantumCircuit, axes: Axes) -> None:
    circuit.draw("mpl", ax=axes, fold=FOLD, style="iqp", plot_barriers=False)


def _in_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "a number"
