from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from hybridopt._plots import COLORS, INK, label_ends, legend, panels, png, rendered, subplots


def test_the_style_of_figures():
    assert len(set(COLORS)) == len(COLORS)
    before = dict(mpl.rcParams)
    figure, (left, right) = subplots(4, 3, columns=2, grid="x", sharey=True)
    left.plot([0, 1], label="a line")
    legend(left, loc="lower right")

    assert dict(mpl.rcParams) == before
    assert tuple(figure.get_size_inches()) == (4, 3)
    for axes in (left, right):
        assert not axes.spines["top"].get_visible()
        assert not axes.spines["right"].get_visible()
        assert axes.xaxis.label.get_color() == INK
    assert left.xaxis.get_gridlines()[0].get_visible()
    assert not left.yaxis.get_gridlines()[0].get_visible()
    assert not left.get_legend().get_frame_on()


def test_labels_at_the_ends_of_lines_do_not_overlap():
    figure, axes = subplots(4, 3)
    for name, end in {"low": 1.0, "high": 9.0, "a": 5.0, "b": 5.01, "c": 5.02}.items():
        axes.plot([0, 1, 2], [0, end, math.nan], label=name)
    axes.axhline(3)  # without a label
    label_ends(axes)
    png(figure)
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(boxes) == {"low", "high", "a", "b", "c"}
    for one, other in combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    order = sorted(boxes, key=lambda name: boxes[name].y0)
    assert order == ["low", "a", "b", "c", "high"]
    assert axes.texts[0].get_color() == axes.lines[0].get_color()


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_files_are_reproducible(kind, start):
    figure, axes = subplots(2, 2)
    axes.plot([1, 2, 0])
    assert rendered(figure, kind).startswith(start)
    assert rendered(figure, kind) == rendered(figure, kind)
    assert png(figure) == png(figure)


def test_panels_are_pictures_of_their_own():
    figure, (left, right) = subplots(6, 2, columns=2, sharey=True)
    left.plot([1, 2], label="one")
    left.set_ylabel("time [s]")
    right.plot([3, 4])
    one, other = (ET.fromstring(picture) for picture in panels(figure))
    for picture in (one, other):
        width, height = (
            float(picture.get(side).removesuffix("pt")) for side in ("width", "height")
        )
        assert 2 * 72 < width < 3.2 * 72  # half of the figure
        assert height < 2.1 * 72
    assert right.get_ylabel() == "time [s]"
    white = [e for e in one.iter() if "fill: #ffffff" in e.get("style", "")]
    assert not white  # pages may be dark


def test_panels_have_the_label_of_their_row_and_no_legend_of_the_figure():
    figure, grid = subplots(6, 4, 2, 2)
    for row, label in zip(grid, ("accuracy", "loss"), strict=True):
        row[0].set_ylabel(label)
        for axes in row:
            axes.plot([1, 2], label="a name")
    legend(figure, *grid[0, 0].get_legend_handles_labels(), loc="outside lower center")
    pictures = panels(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "accuracy", "loss", "loss"]
    assert figure.legends == []
    assert len(pictures) == 4


def test_pictures_in_threads_restore_the_settings():
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(subplots, 2, 2, grid="x") for _ in range(6)]
        pictures = {pool.submit(png, one.result()[0]).result() for one in made}
    assert dict(mpl.rcParams) == before
    assert len(pictures) == 1
