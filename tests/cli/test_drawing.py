"""`hybridopt draw`: what is drawn, and that it is drawn."""

from __future__ import annotations

import io
import sys

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation
from PIL import Image
from qiskit import QuantumCircuit
from torch import nn

import hybridopt as ho
from hybridopt.cli import main
from hybridopt.cli.circuit_preview import excerpt
from hybridopt.cli.drawing import COLORS, draw_picture, rendered
from hybridopt.cli.network_diagram import network_path


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def draw(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["hybridopt", "draw", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def texts(figure) -> str:
    return "\n".join(t.get_text() for axes in figure.axes for t in axes.texts) + "\n".join(
        t.get_text() for t in figure.texts
    )


def test_the_path_of_a_memory(aer_calls):
    quantum = ho.to_quantum(mlp(), "memory", executor=ho.AerExecutor(shots=50))
    path = network_path(quantum)
    assert path.title == "Sequential in the bridge memory"
    assert path.input_shape == (4,)
    assert [(s.name, s.kind, s.shape, s.where) for s in path.steps] == [
        ("0", "Linear", (3,), "made"),
        ("1", "Tanh", (3,), "classical"),
        ("2", "Linear", (2,), "made"),
    ]
    assert path.source == (
        "memory circuit: 6 qubits, 32 angles, 2 settings a training step, 50 shots each"
    )
    assert path.circuit == quantum.circuit(synthesis="gates")
    assert aer_calls == []


def test_the_path_of_a_mesh():
    path = network_path(ho.to_quantum(conv(), ho.bridges.Mesh(keep_classical=["3"])))
    assert [s.where for s in path.steps] == ["circuit", "classical", "classical", "classical"]
    assert path.steps[0].facts == ("7 qubits", "10 angles")
    assert path.input_shape is None  # the size of the image cannot be told
    assert path.source is None
    assert path.caption == "The circuit of layer 0: 7 qubits"


def test_the_path_of_a_module_with_circuits():
    module = nn.Sequential(ho.to_quantum(nn.Linear(6, 4), "generator"), ho.DressedCircuit(4, 2))
    path = network_path(module)
    names = ["0", "1.pre", "1.layer", "1.post"]
    assert [(s.name, s.where) for s in path.steps] == list(
        zip(names, ["made", "classical", "circuit", "classical"], strict=True)
    )
    assert path.steps[2].facts == ("4 qubits", "12 weights", "1 setting a sample")
    assert "the widest of 2" in path.caption


@pytest.mark.parametrize("bridge", ["twin", "random-subspace", "mesh-twin"])
def test_the_path_of_a_control(bridge):
    chosen = ho.bridges.Twin(of=ho.bridges.Mesh()) if bridge == "mesh-twin" else bridge
    path = network_path(ho.to_quantum(mlp(), chosen))
    assert [s.where for s in path.steps] == ["formula", "classical", "formula"]
    assert path.circuit is None
    assert path.title.startswith("Sequential in the control")


def test_layers_of_one_s_own_and_single_layers_are_shown():
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(3))
            self.body = nn.Linear(3, 3)

        def forward(self, x):
            return self.gain * self.body(x)

    path = network_path(ho.to_quantum(nn.Sequential(nn.Linear(2, 3), Head()), "memory"))
    assert [(s.name, s.kind, s.where) for s in path.steps] == [
        ("0", "Linear", "made"), ("1", "Head", "made"),
    ]  # fmt: skip
    assert [s.name for s in network_path(ho.to_quantum(nn.Linear(3, 2), "memory")).steps] == [""]


def test_an_excerpt_is_the_beginning_and_says_so():
    circuit = QuantumCircuit(4)
    for _ in range(3):
        circuit.h(range(4))
        circuit.cx(0, 2)  # nothing else stands between its lines
        circuit.x(1)
    whole = excerpt(circuit, columns=9, qubits=4)
    assert (whole.circuit, whole.note) == (circuit, "")
    part = excerpt(circuit, columns=3, qubits=4)
    assert dict(part.circuit.count_ops()) == {"h": 8, "cx": 1, "x": 1}
    assert part.note == "its first 10 of 18 gates"
    narrow = excerpt(circuit, columns=9, qubits=2)
    assert narrow.note == "its first 9 of 18 gates on the first 2 of its qubits"


CASES = {
    "memory": lambda: ho.to_quantum(mlp(), "memory"),
    "mesh": lambda: ho.to_quantum(mlp(), "mesh"),
    "control": lambda: ho.to_quantum(mlp(), "twin"),
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


def test_one_picture_is_one_file():
    layer = ho.CircuitLayer(*ho.load_circuit("swap_test"))
    first, second = (rendered(draw_picture(network_path(layer)), "svg") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("what", "options", "kind"),
    [
        *(("network.ho", [], kind) for kind in ("png", "svg", "pdf")),
        ("mlp:4-3-2", ["--bridge", "mesh", "--option", "scale=3"], "png"),
        ("ghz_phase_sensing", [], "png"),
        ("mine.qasm", [], "png"),
    ],
)
def test_the_command_writes_pictures(what, options, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ho.save(ho.to_quantum(mlp(), "memory"), "network.ho")
    ho.save_circuit("mine.qasm", *ho.load_circuit("basic_entangler"))
    target = tmp_path / f"picture.{kind}"
    code, out, err = draw(monkeypatch, capsys, what, "--output", target, *options)
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
        (["no.qasm", "--output", "x.png"], "There is no file no.qasm"),
        (["mlp:4-3", "--network", "mlp:4-3", "--output", "x.png"], "--network says the class"),
        (["damaged.ho", "--output", "x.png"], "is damaged"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys, aer_calls):
    monkeypatch.chdir(tmp_path)
    path = ho.save(ho.to_quantum(mlp(), "memory"), "damaged.ho")
    path.write_bytes(path.read_bytes()[:-9])
    code, out, err = draw(monkeypatch, capsys, *arguments)
    assert (code, out, aer_calls) == (2, "", [])
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.glob("x*"))
