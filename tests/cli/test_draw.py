"""`hybridopt draw`: what is drawn, and that it is drawn."""

from __future__ import annotations

import io

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation
from PIL import Image
from qiskit import QuantumCircuit
from torch import nn

import hybridopt as ho
from hybridopt._plots import rendered
from hybridopt.cli.draw import COLORS, draw_picture, excerpt
from hybridopt.cli.network_diagram import network_path

from .command import entry_point


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def texts(figure) -> str:
    return "\n".join(t.get_text() for axes in figure.axes for t in axes.texts) + "\n".join(
        t.get_text() for t in figure.texts
    )


def test_an_excerpt_is_the_beginning_and_says_so():
    circuit = QuantumCircuit(4)
    for _ in range(3):
        circuit.h(range(4))
        circuit.cx(0, 2)  # nothing else stands between its lines
        circuit.x(1)
    whole = excerpt(circuit, columns=9, qubits=4)
    assert whole == (circuit, "")
    part, note = excerpt(circuit, columns=3, qubits=4)
    assert dict(part.count_ops()) == {"h": 8, "cx": 1, "x": 1}
    assert note == "its first 10 of 18 gates"
    _, note = excerpt(circuit, columns=9, qubits=2)
    assert note == "its first 9 of 18 gates on the first 2 of its qubits"


CASES = {
    "memory": lambda: ho.to_quantum(mlp(), "memory"),
    "many": lambda: ho.to_quantum(
        nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(3, 3), nn.Tanh()))),
        "memory",
    ),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_everything_stands_inside_the_picture(make):
    figure = draw_picture(network_path(make()))
    width, height = figure.get_size_inches()
    canvas = figure.canvas
    canvas.draw()
    for axes in figure.axes[:1]:
        for thing in (*axes.texts, *axes.patches):
            box = thing.get_window_extent(canvas.get_renderer())
            assert box.x0 >= 0
            assert box.x1 <= width * figure.dpi
            assert box.y0 >= 0
            assert box.y1 <= height * figure.dpi
    image = Image.open(io.BytesIO(rendered(figure, "png")))
    assert image.size == pytest.approx((150 * width, 150 * height), abs=2)


@pytest.mark.parametrize("bridge", ["generator", "twin"])
def test_only_layers_whose_weights_come_from_the_bar_hang_on_it(bridge):
    module = nn.Sequential(ho.to_quantum(nn.Linear(6, 4), bridge), ho.DressedCircuit(4, 2))
    axes = draw_picture(network_path(module)).axes[0]
    starts = [text.xyann for text in axes.texts if isinstance(text, Annotation)]
    ends = [text.xy for text in axes.texts if isinstance(text, Annotation)]
    hanging = [end for start, end in zip(starts, ends, strict=True) if start[0] == end[0]]
    assert len(hanging) == 1
    assert min(end[0] for end in ends) < hanging[0][0] < sorted(end[0] for end in ends)[2]
    bar = next(p for p in axes.patches if isinstance(p, FancyBboxPatch) and p.get_width() > 9)
    edge = COLORS["circuit" if bridge == "generator" else "formula"][0]
    assert to_hex(bar.get_edgecolor()) == edge


def test_a_long_circuit_is_drawn_as_its_beginning():
    figure = draw_picture(network_path(ho.to_quantum(nn.Linear(64, 2), "memory")))
    words = texts(figure)
    assert "shown: its first" in words
    assert "of 520 gates" in words


@pytest.mark.parametrize(
    ("what", "options", "kind"),
    [
        ("network.ho", [], "pdf"),
        ("mlp:4-3-2", ["--bridge", "mesh", "--option", "scale=3"], "svg"),
        ("mine.qasm", [], "png"),
    ],
)
def test_the_command_writes_pictures(what, options, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ho.save(ho.to_quantum(mlp(), "memory"), "network.ho")
    ho.save_circuit("mine.qasm", *ho.load_circuit("basic_entangler"))
    target = tmp_path / f"picture.{kind}"
    code, out, err = entry_point(monkeypatch, capsys, "draw", what, "--output", target, *options)
    assert (code, err) == (0, "")
    assert f"Written: {target}" in out
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert target.read_bytes().startswith(heads[kind])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp:4-3", "--output", "x.jpg"], "Unknown kind of picture 'jpg'"),
        (["mlp:4-3", "--output", "x"], "Unknown kind of picture ''"),
        (["mlp:4", "--output", "x.png"], "must name two or more widths"),
        (["mlp:4-3", "--bridge", "mehs", "--output", "x.png"], "Unknown bridge 'mehs'"),
        (["entangler", "--output", "x.png"], "Unknown circuit 'entangler'"),
        (["no.qasm", "--output", "x.png"], "The file no.qasm does not exist"),
        (["mlp:4-3", "--network", "mlp:4-3", "--output", "x.png"], "--network says the class"),
        (["damaged.ho", "--output", "x.png"], "is damaged"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys, aer_calls):
    monkeypatch.chdir(tmp_path)
    path = ho.save(ho.to_quantum(mlp(), "memory"), "damaged.ho")
    path.write_bytes(path.read_bytes()[:-9])
    code, out, err = entry_point(monkeypatch, capsys, "draw", *arguments)
    assert (code, out, aer_calls) == (2, "", [])
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.glob("x*"))
