from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import pytest

from hybridopt._plots import COLORS, INK, legend, png, rendered, subplots


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


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_files_are_reproducible(kind, start):
    figure, axes = subplots(2, 2)
    axes.plot([1, 2, 0])
    assert rendered(figure, kind).startswith(start)
    assert rendered(figure, kind) == rendered(figure, kind)
    assert png(figure) == png(figure)


def test_pictures_in_threads_restore_the_settings():
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(subplots, 2, 2, grid="x") for _ in range(6)]
        pictures = {pool.submit(png, one.result()[0]).result() for one in made}
    assert dict(mpl.rcParams) == before
    assert len(pictures) == 1
