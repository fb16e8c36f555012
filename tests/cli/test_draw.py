"""Tests of `hybridopt draw`."""

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
from hybridopt.cli.draw import LOOKS, draw_picture, excerpt
from hybridopt.cli.network_diagram import network_path

from .conftest import mlp


def test_an_excerpt_is_the_beginning_with_a_note():
    circuit = QuantumCircuit(4)
    for _ in range(3):
        circuit.h(range(4))
        circuit.cx(0, 2)  # no other gate between its lines
        circuit.x(1)
    whole = excerpt(circuit, columns=9, qubits=4)
    assert whole == (circuit, "")
    part, note = excerpt(circuit, columns=3, qubits=4)
    assert dict(part.count_ops()) == {"h": 8, "cx": 1, "x": 1}
    assert note == "first 10 of 18 gates"
    _, note = excerpt(circuit, columns=9, qubits=2)
    assert note == "first 9 of 18 gates on the first 2 qubits"


@pytest.mark.parametrize("repetitions", [1, 5])  # one line, and two
def test_everything_is_inside_the_picture(repetitions):
    layers = (layer for _ in range(repetitions) for layer in (nn.Linear(3, 3), nn.Tanh()))
    figure = draw_picture(network_path(ho.to_quantum(nn.Sequential(*layers), "memory")))
    width, height = figure.get_size_inches()
    canvas = figure.canvas
    canvas.draw()
    for thing in (*figure.axes[0].texts, *figure.axes[0].patches):
        box = thing.get_window_extent(canvas.get_renderer())
        assert 0 <= box.x0 <= box.x1 <= width * figure.dpi
        assert 0 <= box.y0 <= box.y1 <= height * figure.dpi
    image = Image.open(io.BytesIO(rendered(figure, "png")))
    assert image.size == pytest.approx((150 * width, 150 * height), abs=2)


@pytest.mark.parametrize("bridge", ["generator", "twin"])
def test_the_bar_has_arrows_to_its_layers_only(bridge):
    module = nn.Sequential(ho.to_quantum(nn.Linear(6, 4), bridge), ho.DressedCircuit(4, 2))
    axes = draw_picture(network_path(module)).axes[0]
    starts = [text.xyann for text in axes.texts if isinstance(text, Annotation)]
    ends = [text.xy for text in axes.texts if isinstance(text, Annotation)]
    vertical = [end for start, end in zip(starts, ends, strict=True) if start[0] == end[0]]
    assert len(vertical) == 1
    assert min(end[0] for end in ends) < vertical[0][0] < sorted(end[0] for end in ends)[2]
    bar = next(p for p in axes.patches if isinstance(p, FancyBboxPatch) and p.get_width() > 9)
    edge = LOOKS["circuit" if bridge == "generator" else "formula"][0]
    assert to_hex(bar.get_edgecolor()) == edge


def test_a_long_circuit_is_drawn_as_its_beginning():
    figure = draw_picture(network_path(ho.to_quantum(nn.Linear(64, 2), "memory")))
    (text,) = figure.texts
    assert "shown: first" in text.get_text()
    assert "of 520 gates" in text.get_text()


@pytest.mark.parametrize(
    ("what", "options", "kind"),
    [
        ("network.ho", [], "pdf"),
        ("mlp:4-5-3", ["--bridge", "mesh", "--option", "scale=3"], "svg"),
        ("mine.qasm", [], "png"),
    ],
)
def test_the_command_writes_pictures(what, options, kind, tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ho.save(ho.to_quantum(mlp(), "memory"), "network.ho")
    ho.save_circuit("mine.qasm", *ho.load_circuit("basic_entangler"))
    target = tmp_path / f"picture.{kind}"
    code, out, err = call("draw", what, "--output", target, *options)
    assert (code, err) == (0, "")
    assert f"Written: {target}" in out
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert target.read_bytes().startswith(heads[kind])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp:4-3", "--output", "x.jpg"], "Unknown kind of picture 'jpg'"),
        (["mlp:4", "--output", "x.png"], "mlp:4"),
        (["entangler", "--output", "x.png"], "Unknown circuit 'entangler'"),
        (["mlp:4-3", "--network", "mlp:4-3", "--output", "x.png"], "`network`"),
        (["damaged.ho", "--output", "x.png"], "damaged.ho"),
    ],
)
def test_bad_input_is_refused(arguments, message, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = ho.save(ho.to_quantum(mlp(), "memory"), "damaged.ho")
    path.write_bytes(path.read_bytes()[:-9])
    refused(message, "draw", *arguments)
    assert not list(tmp_path.glob("x*"))
